package idds_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/stompd"
)

// running is a slice whose payload runs; others in hand wait for their turn.
var running = document.SliceInHand{Identity: "a", RunID: run, Attempt: 1, RunningSince: time.Now()}

// down has a pilot fall silent with attempt 1 of the slice.
func (b *book) down(pilot string, forEver bool) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		w := document.WorkerReport{PilotID: pilot, Namespace: namespace, RunID: run, InHand: []document.SliceInHand{running}}
		return b.ledger.Down(tx, w, forEver, b.now)
	}
}

func TestASliceThatTakesThreeWorkersDownFailsWhereTheBrokerRedeliversForEver(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.down("p1", true), b.down("p2", true), b.down("p2", true))
	if s := b.slice(); s.State != ledger.Outstanding || !slices.Equal(s.Downed, []string{"p1", "p2"}) {
		t.Errorf("%+v", s)
	}
	b.do(b.down("p3", true))
	s, r := b.slice(), b.run()
	if s.State != ledger.Failed || s.Failure == nil || s.Failure.Name != "workers_down" || s.Failure.Class != "payload" ||
		!strings.Contains(s.Failure.Message, "p1, p2, p3") || r.Failed != 1 || !r.Disturbed {
		t.Errorf("%+v, %+v", s, r)
	}
	b.do(b.down("p4", true), b.result("a", 1, nil)) // done wins all the same
	if s, r := b.slice(), b.run(); s.State != ledger.Done || r.Failed != 0 || r.Corrected != 1 || len(s.Downed) != 3 {
		t.Errorf("%+v, %+v", s, r)
	}
}

func TestASliceThatWaitedForItsTurnTookNobodyDown(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	waiting := running
	waiting.RunningSince = time.Time{}
	b.do(b.sent(1))
	for _, pilot := range []string{"p1", "p2", "p3", "p4"} {
		b.do(func(tx ledger.Tx) error {
			return b.ledger.Down(tx, document.WorkerReport{PilotID: pilot, Namespace: namespace, RunID: run, InHand: []document.SliceInHand{waiting}}, true, b.now)
		})
	}
	if s := b.slice(); s.State != ledger.Outstanding || len(s.Downed) > 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhereTheBrokerGivesUpItselfWorkersThatFallSilentFailNoSlice(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.down("p1", false), b.down("p2", false), b.down("p3", false), b.down("p4", false))
	if s := b.slice(); s.State != ledger.Outstanding || len(s.Downed) != 3 || b.run().Failed != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOnClassicWorkersThatFallSilentEndASlice(t *testing.T) {
	t.Parallel()
	for mode, want := range map[stompd.Mode]document.SliceCounts{
		stompd.Classic: {Published: 1, Failed: 1}, stompd.Artemis: {Published: 1, Outstanding: 1},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := newRigOn(t, stompd.Config{Mode: mode}, idds.Config{LostAfter: time.Second})
			r.send("a")
			r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
			for _, pilot := range []string{"p1", "p2", "p3"} {
				_, err := r.service.Report(soon(t), document.WorkerReport{
					PilotID: pilot, Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: time.Now(), HeartbeatSeconds: 0.01,
					InHand: []document.SliceInHand{running},
				})
				must(t, err)
			}
			r.await("the end of three workers", func(document.RunCheck) bool {
				list, err := r.store.Slices(soon(t), ledger.Filter{Run: run})
				must(t, err)
				return len(list) == 1 && len(list[0].Downed) == 3
			})
			if c := r.await("the accounting", func(document.RunCheck) bool { return true }); c.Slices != want {
				t.Errorf("%+v", c.Slices)
			}
		})
	}
}
