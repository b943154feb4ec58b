package idds_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// where is the only slice of the watch.
func (w *watch) where(t *testing.T) document.Slice {
	t.Helper()
	list, err := w.service.Records(t.Context(), namespace, []ledger.Slice{w.slice()})
	must(t, err)
	c, err := w.service.Check(t.Context(), w.run())
	if must(t, err); len(c.Outstanding) != 1 || c.Outstanding[0].Where != list[0].Where || c.Places[list[0].Place] != 1 || !c.OK {
		t.Errorf("the accounting says %+v", c)
	}
	return list[0]
}

func TestTheAccountingSaysWhereASliceIs(t *testing.T) {
	t.Parallel()
	tell := func(t *testing.T, w *watch, place document.Place, words ...string) {
		t.Helper()
		got := w.where(t)
		for _, word := range words {
			if got.Place != place || !strings.Contains(got.Where, word) {
				t.Errorf("%s: %s; want %s, %q", got.Place, got.Where, place, word)
			}
		}
	}
	resend := func(w *watch) func(ledger.Tx) error {
		return func(tx ledger.Tx) error {
			_, err := w.ledger.Resend(tx, keyA, w.now.Add(time.Hour))
			return err
		}
	}
	t.Run("on the queue", func(t *testing.T) {
		t.Parallel()
		tell(t, newWatch(t, false), document.PlaceQueue, "on the queue")
	})
	t.Run("with a pilot", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		held := hand
		held.Since = time.Date(2026, 1, 1, 0, 59, 0, 0, time.UTC)
		w.report("p1", 0, 0, held)
		tell(t, w, document.PlaceHeld, "held by p1 on node7 since 00:59:00")
	})
	t.Run("with a pilot that fell silent", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		w.report("p1", 0, 0, hand)
		w.now = w.now.Add(24 * time.Hour)
		tell(t, w, document.PlaceSilent, "held by p1 on node7 when it fell silent at 01:00:01")
		w.report("p2", 0, 0, hand) // it was given to another
		tell(t, w, document.PlaceHeld, "held by p2")
	})
	t.Run("of another attempt nobody is asked", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		other := hand
		other.Attempt = 2
		w.report("p1", 0, 0, other)
		tell(t, w, document.PlaceQueue, "on the queue")
	})
	t.Run("waiting", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		w.do(w.result("a", 1, crashed))
		tell(t, w, document.PlaceWaiting, "waits for attempt 2 at 01:00:04; attempt 1 failed: payload_crashed")
	})
	t.Run("a dead letter", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		w.do(func(tx ledger.Tx) error {
			return w.ledger.Lost(tx, keyA, 1, "the broker gave it up: died or expired", w.now)
		})
		tell(t, w, document.PlaceDeadLetter, "waits for attempt 2", "dead letters")
	})
	t.Run("sent and not confirmed", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		w.do(w.result("a", 1, crashed), resend(w))
		tell(t, w, document.PlaceUnsent, "attempt 2 is decided on")
	})
	t.Run("known from its result alone", func(t *testing.T) {
		t.Parallel()
		w := newWatch(t, false)
		w.do(w.result("b", 1, crashed))
		c, err := w.service.Check(t.Context(), w.run())
		if must(t, err); len(c.Outstanding) != 2 || !strings.Contains(c.Outstanding[1].Where, "waits for its message") {
			t.Errorf("%+v", c.Outstanding)
		}
		if due, err := w.store.Due(t.Context(), namespace, w.now.Add(time.Hour)); err != nil || len(due) != 0 {
			t.Errorf("it stands in the way of others: %d due, %v", len(due), err)
		}
	})
}
