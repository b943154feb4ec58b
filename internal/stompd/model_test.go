package stompd_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tfpilot/internal/message"
	"tfpilot/internal/seglog"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// held is a message in the model.
type held struct {
	body       string
	persistent bool
	deliveries int
}

// model is what one queue of a broker with a state should be doing: messages in order, dead letters, and the last ids.
type model struct {
	queue, dead []held
	ids         []string
	sent        int
}

const (
	modelIDs        = 3
	modelDeliveries = 3
)

func (m *model) send(body, id string, persistent bool) {
	if id != "" {
		if slices.Contains(m.ids, id) {
			return
		}
		m.ids = append(m.ids, id)
		m.ids = m.ids[max(0, len(m.ids)-modelIDs):]
	}
	m.queue = append(m.queue, held{body: body, persistent: persistent})
}

// fail is a lost connection.
func (m *model) fail() {
	m.queue[0].deliveries++
	if m.queue[0].deliveries == modelDeliveries {
		m.dead = append(m.dead, held{body: m.queue[0].body, persistent: m.queue[0].persistent})
		m.queue = m.queue[1:]
	}
}

func (m *model) restart() {
	gone := func(h held) bool { return !h.persistent }
	m.queue, m.dead = slices.DeleteFunc(m.queue, gone), slices.DeleteFunc(m.dead, gone)
}

// Whatever is sent, settled, given back and lost, and however often the broker is stopped or killed: what has a receipt is as the
// model says. The segments are so small that they are freed and copied all the time.
func TestTheStateIsThatOfTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := stompd.Config{
			State: t.TempDir(), Queues: []string{queueA}, IDCacheSize: modelIDs, MaxDeliveries: modelDeliveries,
			Log: seglog.Options{NoSync: true, SegmentBytes: 512}, ExpiryScan: time.Hour,
		}
		addr, stop := serve(t, cfg)
		var m model
		take := func(queue string, want held) (*stomp.Conn, *stomp.Subscription, *stomp.Message) {
			c := dial(t, addr)
			s := subscribe(t, c, stomp.SubscribeOptions{Destination: queue, Window: 1})
			got := next(t, s)
			if string(got.Body) != want.body || (got.Header.Get("redelivered") == "true") != (want.deliveries > 0) {
				rt.Fatalf("%s has %s, redelivered %s, want %+v", queue, got.Body, got.Header.Get("redelivered"), want)
			}
			return c, s, got
		}
		first := func() held {
			if len(m.queue) == 0 {
				rt.Skip("nothing to take")
			}
			return m.queue[0]
		}
		leave := func(c *stomp.Conn) {
			if err := c.Disconnect(t.Context()); err != nil {
				rt.Fatal(err)
			}
		}
		release := func(c *stomp.Conn, s *stomp.Subscription) {
			if err := s.Unsubscribe(t.Context()); err != nil {
				rt.Fatal(err)
			}
			leave(c)
		}
		settle := func(queue string, want held) {
			c, s, got := take(queue, want)
			ack(t, c, got)
			release(c, s) // the next one has come
		}
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				m.sent++
				body := fmt.Sprintf("%d %0*d", m.sent, rapid.IntRange(0, 200).Draw(rt, "size"), 0)
				headers := []string{"persistent", "true"}
				persistent := rapid.Bool().Draw(rt, "persistent")
				if !persistent {
					headers = nil
				}
				id := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(rt, "id")
				if id != "" {
					headers = append(headers, message.HeaderDuplicateID, id)
				}
				c := dial(t, addr)
				send(t, c, queueA, body, headers...)
				leave(c)
				m.send(body, id, persistent)
			},
			"acknowledge": func(*rapid.T) {
				settle(queueA, first())
				m.queue = m.queue[1:]
			},
			"release": func(*rapid.T) {
				c, s, _ := take(queueA, first())
				release(c, s)
			},
			"fail": func(*rapid.T) {
				c, _, _ := take(queueA, first())
				leave(c)
				m.fail()
			},
			"bury": func(*rapid.T) {
				if len(m.dead) == 0 {
					rt.Skip("nobody is dead")
				}
				settle("DLQ", m.dead[0])
				m.dead = m.dead[1:]
			},
			"stop": func(*rapid.T) {
				if err := stop(); err != nil {
					rt.Fatal(err)
				}
				addr, stop = serve(t, cfg)
				m.restart()
			},
			"kill": func(*rapid.T) {
				left := killed(t, cfg.State)
				if err := stop(); err != nil {
					rt.Fatal(err)
				}
				remove(rt, cfg.State)
				cfg.State = left
				addr, stop = serve(t, cfg)
				m.restart()
			},
		})
		if err := stop(); err != nil {
			rt.Fatal(err)
		}
		remove(rt, cfg.State)
	})
}

// remove makes room: each state has a reserve, and there are many.
func remove(rt *rapid.T, state string) {
	if err := os.RemoveAll(state); err != nil {
		rt.Fatal(err)
	}
}
