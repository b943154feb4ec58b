package record_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/idds/record"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/recent"
)

// shelf is a store that has components alone.
type shelf struct {
	ledger.Store

	mu   sync.Mutex
	of   map[string]document.Component
	away bool
}

func (s *shelf) Name() string { return "w2nmxkq3" }

func (s *shelf) Components(context.Context, string) (out []document.Component, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.of {
		out = append(out, c)
	}
	return out, nil
}

func (s *shelf) Update(_ context.Context, fn func(ledger.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return exitcode.New(exitcode.StoreFailed, "%w: on purpose", ledger.ErrUnavailable)
	}
	return fn(page{of: s.of})
}

// page is a transaction of it.
type page struct {
	ledger.Tx

	of map[string]document.Component
}

func (s page) PutDocument(_ ledger.Kind, doc any, key ...string) error {
	c, ok := doc.(document.Component)
	if !ok {
		return fmt.Errorf("%T is no component", doc)
	}
	s.of[strings.Join(key, "/")] = c
	return nil
}

func (s page) DropDocument(_ ledger.Kind, key ...string) error {
	delete(s.of, strings.Join(key, "/"))
	return nil
}

func (s *shelf) names() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.of {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (s *shelf) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// roll runs a record and returns it, what it knows by name, and its end.
func roll(t *testing.T, store *shelf, now func() time.Time) (*record.Record, func() map[string]document.Component, func()) {
	t.Helper()
	r := record.New(store, recent.New(nil), logging.Discard(), record.Config{Namespace: namespace, Now: now})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Ready()
	calls := record.NewRoll(r, alone{})
	return r, func() map[string]document.Component {
			list, err := calls.Components(t.Context(), "")
			must(t, err)
			out := map[string]document.Component{}
			for _, c := range list {
				out[c.Name] = c
			}
			return out
		}, func() {
			cancel()
			must(t, <-done)
		}
}

func newShelf() *shelf { return &shelf{of: map[string]document.Component{}} }

func TestWhoFallsSilentIsGoneAndForgottenAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r, known, end := roll(t, store, nil)
		r.Report(document.Component{Name: "h", Role: "harvester", HeartbeatSeconds: 10})
		r.Report(document.Component{Name: "d", Role: "daq", State: "exited", HeartbeatSeconds: 10})
		r.Report(document.Component{Name: "odd", Role: "odd", HeartbeatSeconds: -1e300})
		alive := func(name string, want bool) {
			t.Helper()
			c, ok := known()[name]
			if !ok || c.Alive != want {
				t.Errorf("%s: %+v", name, c)
			}
		}
		alive("h", true)
		alive("d", false)
		alive("odd", true)
		time.Sleep(29 * time.Second)
		alive("h", true)
		time.Sleep(2 * time.Second)
		alive("h", false)
		if got := store.names(); len(got) != 3 {
			t.Error("the store has", got)
		}
		end()
		time.Sleep(time.Hour)
		_, known, end = roll(t, store, nil) // after a restart it is known who is gone
		alive("h", false)
		time.Sleep(24 * time.Hour)
		if c, ok := known()["h"]; ok {
			t.Errorf("%+v", c)
		}
		if got := store.names(); len(got) != 0 {
			t.Error("the store has", got)
		}
		end()
	})
}

func TestAClockThatIsSetBackKeepsNobodyAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		back := time.Duration(0)
		now := func() time.Time { return time.Now().Add(back) }
		r, known, end := roll(t, store, now)
		r.Report(document.Component{Name: "h", Role: "harvester", HeartbeatSeconds: 10, LastSeen: time.Now().Add(time.Hour), StartedAt: time.Now().Add(time.Hour)})
		if c := known()["h"]; !c.StartedAt.IsZero() || c.LastSeen.After(time.Now()) {
			t.Errorf("what it says of the future is taken: %+v", c)
		}
		back = -10 * time.Hour
		time.Sleep(31 * time.Second)
		if known()["h"].Alive {
			t.Error("the clock went back, and it is alive")
		}
		end()
		_, known, end = roll(t, store, now)
		time.Sleep(31 * time.Second)
		if c, ok := known()["h"]; !ok || c.Alive {
			t.Errorf("after a restart it is alive: %+v", c)
		}
		end()
	})
}

func TestManyNamesTakeThePlaceOfThoseThatAreSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r, known, end := roll(t, store, nil)
		for i := range 3000 {
			time.Sleep(100 * time.Millisecond)
			r.Saw(document.SeenMessage{Namespace: namespace, MsgType: "slice", Sender: fmt.Sprint("x", i)})
			r.Report(document.Component{Name: "h", Role: "harvester"})
		}
		time.Sleep(11 * time.Second)
		if n := len(known()); n > 503 || !known()["h"].Alive {
			t.Errorf("%d are known, %+v", n, known()["h"])
		}
		if n := len(store.names()); n != 500 {
			t.Errorf("%d are stored", n)
		}
		end()
	})
}

func TestWhatAStoreThatIsAwayMissesIsWrittenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r, known, end := roll(t, store, nil)
		store.setAway(true)
		r.Report(document.Component{Name: "h", Role: "harvester"})
		time.Sleep(time.Minute)
		if !known()["h"].Alive || len(store.names()) != 0 {
			t.Errorf("%+v, %v", known(), store.names())
		}
		store.setAway(false)
		time.Sleep(11 * time.Second)
		if got := store.names(); !slices.Equal(got, []string{"test/h"}) {
			t.Error(got)
		}
		end()
	})
}

func TestPeersAreKnownByTheirHeartBeatsAndMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, known, end := roll(t, newShelf(), nil)
		saw := func(msgType, sender, body string) {
			r.Saw(document.SeenMessage{Namespace: namespace, MsgType: msgType, Sender: sender, RunID: run, Body: []byte(body)})
		}
		saw("transformer_start", "", `{"content":{"id":4711,"hostname":"node7"}}`)
		saw("transformer_heartbeat", "", `{"content":{"hostname":"node7"}}`) // names nobody
		saw("transformer_heartbeat", "", `nonsense`)
		saw("slice", "fast_processing-agent-me-3", "{}")
		saw("slice", namespace+".idds.w2nmxkq3", "{}") // ourselves
		saw("slice_result", "somebody", "{}")          // pilots say it themselves
		r.Saw(document.SeenMessage{Namespace: namespace, MsgType: "slice", Sender: "junk", Junk: "no slice"})
		got := known()
		if len(got) != 5 || got["4711"].State != "STARTING" || got["4711"].Hostname != "node7" || got["fast_processing-agent-me-3"].Role != "fast_processing" {
			t.Errorf("%+v", got)
		}
		if c := got["idds"]; c.State != "PROCESSING" || c.Status != "ERROR" || c.Details != "broker: gone" || got["idds/store"].Status != "OK" {
			t.Errorf("%+v", c)
		}
		saw("transformer_end", "", `{"content":{"id":"4711","hostname":"node7"}}`)
		time.Sleep(11 * time.Second)
		if c := known(); c["4711"].Alive || c["idds"].State != "READY" {
			t.Errorf("%+v", c)
		}
		end()
	})
}
