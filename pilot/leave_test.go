package pilot_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

func TestAPilotLeavesWhenItsRunIsOver(t *testing.T) {
	t.Parallel()
	t.Run("idds says closed", func(t *testing.T) {
		t.Parallel()
		r, idds := newRig(t), &reporter{}
		idds.answer(document.RunClosed)
		must(t, r.pilot(pilot.Config{Run: run}, nil, idds).wait())
		if w := idds.last(); w.Phase != document.WorkerEnded || w.Exit == nil || w.Exit.Code != 0 {
			t.Errorf("last word %+v", w)
		}
	})
	t.Run("stop message, and quiet", func(t *testing.T) {
		t.Parallel()
		r, idds := newRig(t), &reporter{}
		p := r.pilot(pilot.Config{Run: run, StopQuiet: 10 * time.Millisecond}, nil, idds)
		await(t, "the start", func() bool { return idds.last().Phase == document.WorkerRunning })
		r.stop(`"8"`)
		r.publish(slice("a", 1))
		r.next() // it has not left for another run's stop
		r.stop(`"` + run + `"`)
		must(t, p.wait())
	})
	t.Run("stop message to an idle pilot, at once", func(t *testing.T) {
		t.Parallel()
		for _, number := range []string{run, `"` + run + `"`} {
			r, idds := newRig(t), &reporter{}
			p := r.pilot(pilot.Config{Run: run, StopQuiet: time.Hour}, nil, idds)
			await(t, "the start", func() bool { return idds.last().Phase == document.WorkerRunning })
			r.stop(number)
			must(t, p.wait())
		}
	})
	t.Run("stop message to a pilot at work, not before it is quiet", func(t *testing.T) {
		t.Parallel()
		r, g := newRig(t), make(gate)
		r.publish(slice("a", 1))
		w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
		idds := &reporter{}
		p := r.pilot(pilot.Config{Run: run, StopQuiet: time.Hour}, w, idds)
		await(t, "the payload", func() bool { return w.count("a") == 1 })
		before := idds.count()
		r.stop(run)
		await(t, "that the stop has come", func() bool { return idds.count() > before+1 })
		close(g)
		r.next()
		ended := time.Now()
		await(t, "more than an idle pilot's time", func() bool { return time.Since(ended) > time.Second })
		r.publish(slice("b", 1)) // somebody gave it back
		if m := r.next(); m.Identity() != "b" {
			t.Errorf("result of %s", m.Identity())
		}
		p.stop()
		<-p.done
	})
	t.Run("stop message to a pilot at work, when it is quiet", func(t *testing.T) {
		t.Parallel()
		r, g := newRig(t), make(gate)
		r.publish(slice("a", 1))
		w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
		p := r.pilot(pilot.Config{Run: run, StopQuiet: time.Second}, w, nil)
		await(t, "the payload", func() bool { return w.count("a") == 1 })
		r.stop(run)
		close(g)
		must(t, p.wait())
	})
	t.Run("idds says closed to one that missed the stop message", func(t *testing.T) {
		t.Parallel()
		r, idds := newRig(t), &reporter{}
		idds.answer(document.RunOpen)
		p := r.pilot(pilot.Config{Run: run}, nil, idds)
		await(t, "the start", func() bool { return idds.last().Phase == document.WorkerRunning })
		r.refuse.Store(true)
		r.cut()
		await(t, "a report of the loss", func() bool { return !idds.last().LinkProven })
		r.stop(run)
		idds.answer(document.RunClosed)
		r.refuse.Store(false)
		must(t, p.wait())
	})
}

// stop sends the stop message of a run, whose number is given as JSON.
func (r *rig) stop(number string) {
	r.t.Helper()
	must(r.t, r.link.Publish(soon(r.t), broker.Out{
		Destination: message.TopicTransformer, Body: []byte(`{"msg_type":"stop_transformer","run_id":` + number + `,"namespace":"` + namespace + `"}`),
		Headers: []string{"namespace", namespace},
	}))
}

func TestIdlenessCountsOnlyWhereItIsIdleness(t *testing.T) {
	t.Parallel()
	t.Run("no slice at all", func(t *testing.T) {
		t.Parallel()
		err := newRig(t).pilot(pilot.Config{Run: run, FirstSliceTimeout: 50 * time.Millisecond}, nil, nil).wait()
		if exitcode.From(err) != exitcode.NoFirstSlice {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no further slice", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.publish(slice("a", 1))
		p := r.pilot(pilot.Config{Run: run, IdleTimeout: 50 * time.Millisecond}, nil, nil)
		if err := p.wait(); exitcode.From(err) != exitcode.IdleTimeout {
			t.Errorf("got %v", err)
		}
		r.next()
	})
	t.Run("idds says that the run is open", func(t *testing.T) {
		t.Parallel()
		r, idds := newRig(t), &reporter{}
		idds.answer(document.RunOpen)
		p := r.pilot(pilot.Config{Run: run, FirstSliceTimeout: time.Millisecond, IdleTimeout: time.Millisecond, Heartbeat: 200 * time.Millisecond}, nil, idds)
		await(t, "a second report", func() bool { return idds.count() > 1 })
		said := func() int { return strings.Count(r.log.String(), "pilot stays") }
		await(t, "the word that it stays", func() bool { return said() == 1 })
		r.publish(slice("a", 1))
		r.next()
		await(t, "the word after the slice", func() bool { return said() == 2 })
		idds.answer(document.RunClosed)
		must(t, p.wait())
		if n := said(); n != 2 {
			t.Errorf("said %d times that it stays", n)
		}
	})
}

func TestALinkThatIsDownIsNotIdleness(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.refuse.Store(true)
	p := r.pilot(pilot.Config{Run: run, FirstSliceTimeout: 100 * time.Millisecond}, nil, nil)
	await(t, "a time that would be enough", func() bool { return r.refused.Load() > 20 && time.Since(r.started) > 300*time.Millisecond })
	r.publish(slice("a", 1))
	r.refuse.Store(false)
	r.next()
	p.stop()
	if err := p.wait(); exitcode.From(err) == exitcode.NoFirstSlice {
		t.Errorf("got %v", err)
	}
}

// A half-open link: the broker would have a slice, but neither side knows yet that nothing gets through.
func TestALinkThatHasDiedWithoutAWordIsNotIdleness(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	idds := &reporter{}
	r.pilot(pilot.Config{Run: run, IdleTimeout: 100 * time.Millisecond, Heartbeat: time.Hour}, nil, idds)
	r.next()
	await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
	r.silent.Store(true)
	subscriptions := func() int {
		return strings.Count(r.tape.String(), "SUBSCRIBE\n") - strings.Count(r.tape.String(), "UNSUBSCRIBE\n")
	}
	before := subscriptions()
	await(t, "the question whether the broker is there", func() bool { return subscriptions() > before })
	r.silent.Store(false)
	r.cut()
	r.publish(slice("b", 1))
	if m := r.next(); m.Identity() != "b" {
		t.Errorf("result of %s", m.Identity())
	}
}

func TestAPilotWithoutABrokerLeavesAfterItsTime(t *testing.T) {
	t.Parallel()
	const patience = 100 * time.Millisecond
	expect := func(t *testing.T, err error, words ...string) {
		t.Helper()
		if exitcode.From(err) != exitcode.NoBroker {
			t.Fatalf("got %v", err)
		}
		for _, w := range append(words, "no broker for 100ms", "refused") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in %v", w, err)
			}
		}
	}
	t.Run("that it never had", func(t *testing.T) {
		t.Parallel()
		r, idds := newRig(t), &reporter{}
		r.refuse.Store(true)
		expect(t, r.pilot(pilot.Config{Run: run, BrokerTimeout: patience, FirstSliceTimeout: time.Millisecond}, nil, idds).wait())
		if w := idds.last(); w.Exit == nil || w.Exit.Name != "no_broker" {
			t.Errorf("last word %+v", w)
		}
	})
	t.Run("that it lost with nothing in hand", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.publish(slice("a", 1))
		p := r.pilot(pilot.Config{Run: run, BrokerTimeout: patience, IdleTimeout: time.Hour}, nil, nil)
		r.next()
		await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
		r.refuse.Store(true)
		r.cut()
		expect(t, p.wait())
	})
	t.Run("with a result that the next pilot publishes", func(t *testing.T) {
		t.Parallel()
		r, g := newRig(t), make(gate)
		r.publish(slice("a", 1))
		w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
		p := r.pilot(pilot.Config{Run: run, BrokerTimeout: patience}, w, nil)
		await(t, "the payload", func() bool { return w.count("a") == 1 })
		r.refuse.Store(true)
		r.cut()
		cut := time.Now()
		await(t, "more than its time", func() bool { return r.refused.Load() > 20 && time.Since(cut) > 3*patience })
		select {
		case <-p.done:
			t.Fatalf("left with a payload under way: %v", p.err)
		default:
		}
		close(g)
		expect(t, p.wait(), "results kept in the journal: 1")
		r.refuse.Store(false)
		p.release()
		next := &runner{}
		r.pilot(pilot.Config{Run: run}, next, nil)
		if m := r.next(); m.Content.State != message.StateDone || next.count("a") != 0 {
			t.Errorf("%+v, ran %d times again", m.Content, next.count("a"))
		}
	})
	t.Run("that is waited for without end", func(t *testing.T) {
		t.Parallel()
		cfg := pilot.Config{Run: run}
		config.Defaults(&cfg)
		if cfg.BrokerTimeout = 0; cfg.Validate() != nil {
			t.Error(cfg.Validate())
		}
	})
}

func TestOptionsThatMakeNoSenseAreRefusedByName(t *testing.T) {
	t.Parallel()
	var cfg pilot.Config
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	cfg.Slots, cfg.IdleTimeout, cfg.Heartbeat, cfg.MaxReleases, cfg.BrokerTimeout = 0, 0, -time.Second, -2, -1
	_, err := pilot.New(pilot.Parts{}, pilot.Destinations{}, cfg)
	for _, want := range []string{"--slots 0: must be auto or 1 to", "--idle-timeout 0s", "--heartbeat -1s", "--max-releases -2", "--broker-timeout -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if exitcode.From(err) != exitcode.Usage {
		t.Errorf("class of %v", err)
	}
}

func TestIDDSHearsOfAChangeLongBeforeTheNextHeartbeat(t *testing.T) {
	t.Parallel()
	r, g, idds := newRig(t), make(gate), &reporter{}
	r.pilot(pilot.Config{Run: run, Heartbeat: time.Hour}, &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}, idds)
	await(t, "a report of the subscription", func() bool { return idds.last().Phase == document.WorkerRunning && idds.last().LinkProven })
	r.publish(slice("a", 1))
	await(t, "a report of the slice", func() bool { return len(idds.last().InHand) == 1 })
	close(g)
	await(t, "a report of its end", func() bool { return len(idds.last().InHand) == 0 && idds.last().Totals.Done == 1 })
	if n := idds.count(); n > 5 {
		t.Errorf("%d reports of 3 changes", n)
	}
}
