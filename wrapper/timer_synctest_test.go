package wrapper_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/wrapper"
)

// The time in these tests is not real.

func TestASimulatedSliceTakesItsOwnTimeWhateverThePayload(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]time.Duration{
		`{"file_type":"fake","slice_processing_time":12.5}`:                 12500 * time.Millisecond,
		`{"file_type":"mock","slice_processing_time":"3"}`:                  3 * time.Second,
		`{"file_type":"fake","slice_processing_time":0}`:                    0,
		`{"file_type":"fake"}`:                                              30 * time.Second,
		`{"file_type":"fake","filename":"","start":null}`:                   30 * time.Second,
		`{"file_type":"fake","slice_processing_time":7200}`:                 2 * time.Hour, // no time limit is ours to set
		`{"file_type":"fake","slice_processing_time":-1,"end":0,"start":5}`: 30 * time.Second,
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			o := newWrapper(t, shell("exit 1"), wrapper.Config{WorkDir: dir}).Run(t.Context(), slice(t, content))
			mustBeDone(t, o)
			if took := o.Ended.Sub(o.Started); took != want || o.Payload.Name != "synthetic" {
				t.Errorf("%s: took %s as %s", content, took, o.Payload.Name)
			}
		})
	}
}

func sleeping(d, timeout time.Duration) payloadfile.Spec {
	return payloadfile.Spec{
		Name: "s", Kind: payloadfile.KindSynthetic, Timeout: timeout,
		Synthetic: payloadfile.Synthetic{Mode: "sleep", Duration: d},
	}
}

func TestSleepTakesItsTimeButNotMoreThanTheTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := newWrapper(t, sleeping(5*time.Second, time.Minute), wrapper.Config{WorkDir: dir}).Run(t.Context(), slice(t, `{}`))
		mustBeDone(t, o)
		if took := o.Ended.Sub(o.Started); took != 5*time.Second {
			t.Errorf("took %s", took)
		}
		o = newWrapper(t, sleeping(time.Hour, time.Minute), wrapper.Config{WorkDir: dir}).Run(t.Context(), slice(t, `{}`))
		mustFail(t, o, exitcode.PayloadTimeout, "longer than its 1m0s")
		if took := o.Ended.Sub(o.Started); took != time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestSleepEndsWithItsSlot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errors.New("the slot is needed"))
		defer cancel()
		o := newWrapper(t, sleeping(time.Minute, time.Hour), wrapper.Config{WorkDir: dir}).Run(ctx, slice(t, `{}`))
		mustFail(t, o, exitcode.Interrupted, "the slot is needed")
		if took := o.Ended.Sub(o.Started); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
