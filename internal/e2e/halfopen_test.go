package e2e_test

import (
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// beat is the shortest heart-beat that the brokers agree to.
const beat = 500 * time.Millisecond

func TestAHalfOpenLinkIsFound(t *testing.T) {
	t.Parallel()
	halfOpen(t, func(t *testing.T) *production { t.Helper(); return inProcess(t, stompd.Config{HeartBeat: beat}) })
}

func TestAHalfOpenLinkIsFoundInTheModeClassic(t *testing.T) {
	t.Parallel()
	halfOpen(t, func(t *testing.T) *production {
		t.Helper()
		return inProcess(t, stompd.Config{Mode: stompd.Classic, HeartBeat: beat})
	})
}

// halfOpen lets nothing through in one direction, with no end of the connection to be seen: within three intervals of the
// heart-beats the link has to know, and what it held has to be somebody else's.
func halfOpen(t *testing.T, world func(*testing.T) *production) {
	t.Helper()
	held := faultproxy.Direction{Hold: true}
	for name, c := range map[string]faultproxy.Conditions{
		"what the broker says is lost": {Down: held},
		"what we say is lost":          {Up: held},
		"both":                         {Up: held, Down: held},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const interval = 2 * time.Second
			p := world(t)
			proxy := p.through(t, nil)
			l, err := broker.New(broker.Config{
				Addrs: []string{p.via}, Login: p.login, Passcode: p.passcode,
				Tuning: broker.Tuning{HeartBeat: interval, FirstWait: time.Hour}, // it does not come back
			})
			must(t, err)
			background(t, l.Run)
			selector := "namespace='" + p.namespace + "'"
			p.publish(t, 7)
			if _, err := l.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Selector: selector, Window: 1}).Next(soon(t)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			proxy.Set(c)
			for changed := l.Changed(); l.State().Connected; changed = l.Changed() {
				select {
				case <-changed:
				case <-soon(t).Done():
					t.Fatal("it does not notice")
				}
			}
			t.Logf("found after %s", time.Since(began).Round(time.Millisecond)) // within three intervals, as internal/stomp holds in time of its own
			proxy.Cut()                                                         // where neither end can reach the other, the broker too has only its own patience
			d, err := p.consume(t, message.QueueSlicesWorkers).Next(soon(t))
			must(t, err)
			must(t, d.Ack(soon(t)))
		})
	}
}
