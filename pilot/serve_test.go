package pilot_test

import (
	"errors"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

// of is a slice of a run.
func of(runID, identity string) message.Slice {
	m := slice(identity, 1)
	m.RunID, m.Content.RunID = message.Run(runID), message.Run(runID)
	return m
}

// kept is an idds that keeps its pilots between runs, and knows of their run what it was told.
func kept() *reporter { return &reporter{reply: document.WorkerReply{Stay: true}} }

func TestAPilotThatIsKeptServesOneRunAfterTheOther(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(r *rig, idds *reporter){
		"idds says closed": func(_ *rig, idds *reporter) { idds.close(run) },
		"stop message":     func(r *rig, _ *reporter) { r.stop(run) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, idds := newRig(t), kept()
			p := r.pilot(pilot.Config{Slots: 2, StopQuiet: 10 * time.Millisecond, Heartbeat: 3 * time.Second}, nil, idds)
			r.publish(of("7", "a"))
			r.next()
			await(t, "a report of the first run", func() bool { return idds.last().RunID == "7" && len(idds.last().InHand) == 0 })
			over(r, idds)
			await(t, "a report of no run", func() bool { return idds.last().RunID == "" })
			for _, identity := range []string{"b", "c", "d"} {
				r.publish(of("8", identity))
			}
			for range 3 {
				if m := r.next(); m.RunID.String() != "8" {
					t.Errorf("result of %s of run %s", m.Identity(), m.RunID)
				}
			}
			await(t, "a report of the second run", func() bool { w := idds.last(); return w.RunID == "8" && w.AnyRun && w.Totals.Done == 4 })
			r.publish(of("9", "of a third"))
			r.publish(of("8", "e"))
			if m := r.next(); m.Identity() != "e" {
				t.Errorf("result of %s, which is of a run that it does not serve", m.Identity())
			}
			select {
			case <-p.done:
				t.Errorf("it has left: %v", p.err)
			default:
			}
		})
	}
}

func TestNoIdleTimeCountsForAPilotThatIsKeptAndHasNoRun(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), kept()
	p := r.pilot(pilot.Config{FirstSliceTimeout: time.Second, Heartbeat: 2 * time.Second, StopQuiet: time.Millisecond}, nil, idds)
	await(t, "many looks at the time", func() bool { return idds.count() > 3 })
	r.publish(of("7", "a"))
	r.next()
	idds.fail(errors.New("gone")) // nobody knows whether it is kept
	r.stop(run)
	if err := p.wait(); err != nil && exitcode.From(err) != exitcode.NoFirstSlice { // the latter when it still thought so at the stop
		t.Errorf("it left with %v", err)
	}
}

func TestAPilotThatIsKeptNoMoreLeaves(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), kept()
	p := r.pilot(pilot.Config{FirstSliceTimeout: time.Second, Heartbeat: 2 * time.Second}, nil, idds)
	await(t, "some reports", func() bool { return idds.count() > 3 })
	idds.mu.Lock()
	idds.reply.Stay = false
	idds.mu.Unlock()
	if err := p.wait(); exitcode.From(err) != exitcode.NoFirstSlice {
		t.Errorf("it left with %v", err)
	}
}

func TestAPilotOfOneRunIsNotKept(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), kept()
	idds.answer(document.RunClosed)
	must(t, r.pilot(pilot.Config{Run: run}, nil, idds).wait())
}
