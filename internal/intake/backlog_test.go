package intake_test

import (
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/intake"
	"tfpilot/internal/stomp"
)

func TestABacklogIsToldFromWork(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	expect := func(t *testing.T, b *intake.Backlog, ms int, want bool) {
		t.Helper()
		if got := b.Lasts(at(ms), limit); got != want {
			t.Errorf("after %d ms: behind %t, want %t", ms, got, want)
		}
	}
	t.Run("WorkIsNone", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		b.Came(at(0), 1)
		for ms := 0; ms < 5000; ms += 10 { // the next is there before the last is acknowledged
			b.Came(at(ms+5), 1)
			b.Settle(1, at(ms+2), true, at(ms+10))
			expect(t, b, ms+10, false)
		}
	})
	t.Run("BatchesBehindWhichMoreMayWait", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		b.Came(at(0), 1)
		for ms := 0; ms < 5000; ms += 100 { // each message is fresh in hand
			b.Came(at(ms+90), 1)
			b.Settle(1, at(ms+10), false, at(ms+100))
			expect(t, b, ms+100, ms+100 > 1000)
		}
		for i := range 10 {
			expect(t, b, 5000+i, true) // one pause says little: the broker may be slow
			b.Came(at(5000+i), 1)
			b.Settle(1, at(5001+i), true, at(5001+i))
		}
		expect(t, b, 5010, false)
	})
	t.Run("PausesAmidABacklog", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		b.Came(at(0), 1)
		for ms := 0; ms < 5000; ms += 100 {
			b.Came(at(ms+90), 1)
			b.Settle(1, at(ms+10), ms%500 != 0, at(ms+100))
			expect(t, b, ms+100, ms+100 > 1000)
		}
	})
	t.Run("BetweenTwoBatches", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		b.Came(at(0), 256)
		b.Settle(256, at(1900), false, at(2000))
		expect(t, b, 2001, true) // the broker has yet to send the next
		expect(t, b, 3001, false)
	})
	t.Run("AStalledStore", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		b.Came(at(0), 1)
		expect(t, b, 900, false)
		expect(t, b, 1100, true)
		b.Settle(1, at(2), true, at(3000)) // nobody knows of what came meanwhile
		b.Came(at(3000), 1)
		b.Settle(1, at(3002), true, at(3005))
		expect(t, b, 3005, false)
	})
	t.Run("TheFirstAfterALongSilence", func(t *testing.T) {
		t.Parallel()
		b := &intake.Backlog{}
		expect(t, b, 0, false)
		b.Came(at(60_000), 1)
		expect(t, b, 60_001, false)
	})
}

func TestABatchIsTheLastWhenItIsSmallAndNothingFollows(t *testing.T) {
	t.Parallel()
	batch := func(n, size int) (out []*broker.Delivery) {
		for range n {
			out = append(out, &broker.Delivery{Message: &stomp.Message{Body: make([]byte, size)}})
		}
		return out
	}
	for name, c := range map[string]struct {
		came  int
		batch []*broker.Delivery
		want  bool
	}{
		"Small":          {10, batch(10, 1000), true},
		"AnotherFollows": {11, batch(10, 1000), false},
		"ManyMessages":   {100, batch(100, 1000), false},
		"ManyBytes":      {10, batch(10, 100_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &intake.Backlog{}
			b.Came(time.Now(), c.came)
			if got := b.IsLast(c.batch); got != c.want {
				t.Errorf("last: %t, want %t", got, c.want)
			}
		})
	}
}
