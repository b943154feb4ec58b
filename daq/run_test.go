package daq_test

import (
	"context"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// A daq that is told to stop has its run ended with the slices that there are; one that keeps it open goes on with it.
func TestASignalEndsTheRunWithTheSlicesThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, done)
	c := config(t)
	c.Fast, c.TimeScale, c.STFCount, c.STFInterval = false, 0.01, 1000, 5*time.Second
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for len(w.taken()) < 4 {
			<-w.seen
		}
		cancel()
	}()
	report, err := w.start(ctx, t.TempDir(), c)
	if exitcode.From(err) != exitcode.Interrupted {
		t.Errorf("got %v", err)
	}
	for len(w.endRuns()) == 0 {
		<-w.seen
	}
	if got := w.endRuns()[0].Content.TotalSlices.Int64(); got != int64(report.Published) || got < 4 || got > 40 {
		t.Errorf("end_run says %d slices, %d were published", got, report.Published)
	}
}

func TestAnotherStartGoesOnWhereTheLastOneWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, done)
	state, c := t.TempDir(), config(t)
	c.Fast, c.TimeScale, c.STFCount, c.STFInterval, c.KeepOpen = false, 0.01, 6, 2*time.Second, true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for len(w.taken()) < 8 {
			<-w.seen
		}
		cancel()
	}()
	first, err := w.start(ctx, state, c)
	if exitcode.From(err) != exitcode.Interrupted || len(w.endRuns()) != 0 {
		t.Fatalf("%v, %d ends", err, len(w.endRuns()))
	}
	second, err := w.start(t.Context(), state, c)
	if err != nil || second.Published != 24 || second.Done != 24 || first.Published >= 24 {
		t.Errorf("%v, first %+v, second %+v", err, first, second)
	}
	seen := map[string]int{}
	for _, s := range w.taken() {
		seen[s.Content.Identity()]++
	}
	if len(seen) != 24 {
		t.Errorf("%d different slices, want 24", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("slice %s came %d times", id, n)
		}
	}
	c.Frames++
	if _, err := w.start(t.Context(), state, c); exitcode.From(err) != exitcode.Usage {
		t.Errorf("with another plan: %v", err)
	}
}

// What others send to the results queue disturbs nothing, and what is of another namespace is not taken.
func TestJunkAmongTheResultsDisturbsNothing(t *testing.T) {
	t.Parallel()
	var w *world
	w = newWorld(t, func(s message.Slice) *message.SliceResult {
		if s.Content.SliceID.Int64() == 0 {
			for _, body := range []string{"", "{", "[]", `{"msg_type":"slice_result"}`, `{"msg_type":"other"}`} {
				w.publish(t.Context(), []byte(body), "100001", "test")
			}
			r := done(s)
			r.Namespace = "other"
			w.publishResult(t.Context(), *r)
		}
		return done(s)
	})
	report, err := w.start(t.Context(), t.TempDir(), config(t))
	if err != nil || report.Done != 8 || report.Junk == 0 {
		t.Errorf("%v, %+v", err, report)
	}
}
