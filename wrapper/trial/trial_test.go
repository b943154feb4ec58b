package trial_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/wrapper"
	"tfpilot/wrapper/trial"
)

// script is a runner whose nth slice, from 1, ends as the function says.
type script struct {
	startup time.Duration
	outcome func(ctx context.Context, n int) wrapper.Outcome

	mu   sync.Mutex
	seen []string
}

func (s *script) Run(ctx context.Context, m message.Slice) wrapper.Outcome {
	s.mu.Lock()
	s.seen = append(s.seen, m.Content.Identity())
	n := len(s.seen)
	s.mu.Unlock()
	return s.outcome(ctx, n)
}

func (s *script) Prepare(context.Context, int) (payload.Startup, error) {
	return payload.Startup{Took: s.startup}, nil
}

// run is trial.Run where all slots become ready.
func run(ctx context.Context, t *testing.T, r trial.Runner, cfg trial.Config) trial.Summary {
	t.Helper()
	s, err := trial.Run(ctx, r, slice, cfg, func(wrapper.Outcome) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func done(ms int, memory int64, counts map[string]int64) wrapper.Outcome {
	start := time.Now()
	took := time.Duration(ms) * time.Millisecond
	return wrapper.Outcome{Started: start, Ended: start.Add(took + time.Millisecond), Result: payload.Result{
		Counts: counts, Usage: payload.Usage{Wall: took, User: took / 2, PeakBytes: memory},
	}}
}

func text(t *testing.T, s trial.Summary) string {
	t.Helper()
	var b strings.Builder
	if err := s.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var slice = message.Slice{Content: message.SliceContent{ReqID: "s"}}

func TestEverySliceIsRunOnceUnderItsOwnIdentity(t *testing.T) {
	t.Parallel()
	r := &script{outcome: func(context.Context, int) wrapper.Outcome { return done(1, 1, nil) }}
	told := 0
	s, err := trial.Run(t.Context(), r, slice, trial.Config{Repeat: 50, Slots: 4}, func(wrapper.Outcome) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.seen)
	if s.Slices != 50 || told != 50 || len(slices.Compact(r.seen)) != 50 || s.Failed() != 0 || s.PerSecond <= 0 {
		t.Errorf("%d told, %+v", told, s)
	}
}

func TestQuantilesAreOfSlicesThatAreDone(t *testing.T) {
	t.Parallel()
	r := &script{outcome: func(_ context.Context, n int) wrapper.Outcome {
		if n > 100 {
			return wrapper.Outcome{Err: exitcode.New(exitcode.PayloadCrashed, "gone %d", n), Result: payload.Result{Usage: payload.Usage{LeftBehind: 2}}}
		}
		return done(n, int64(n)*1e6, nil)
	}}
	s := run(t.Context(), t, r, trial.Config{Repeat: 102, Slots: 1})
	if s.Payload != (trial.Quantiles{Median: 0.05, P95: 0.095, Max: 0.1}) || s.CPU.Max != 0.05 || s.Failed() != 2 || s.LeftBehind != 4 {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"102 slices in 1 slots", "payload_crashed  2       2.0 %   gone 101", "payload's own  50ms     95ms     100ms", "4 processes, 0 files", "the same in all"} {
		if !strings.Contains(text(t, s), want) {
			t.Errorf("%q is not in\n%s", want, text(t, s))
		}
	}
}

func TestGrowingMemoryIsSeen(t *testing.T) {
	t.Parallel()
	grows := &script{startup: time.Second, outcome: func(_ context.Context, n int) wrapper.Outcome { return done(1, int64(n)*10e6, nil) }}
	if s := run(t.Context(), t, grows, trial.Config{Repeat: 20, Slots: 1}); !s.Growth.Grows() || !strings.Contains(text(t, s), "memory grows") {
		t.Errorf("%+v", s.Growth)
	}
	stays := &script{startup: time.Second, outcome: func(_ context.Context, n int) wrapper.Outcome { return done(1, 100e6+int64(n%2)*1e6, nil) }}
	if s := run(t.Context(), t, stays, trial.Config{Repeat: 20, Slots: 1}); s.Growth.Grows() || s.Growth == nil {
		t.Errorf("%+v", s.Growth)
	}
	if s := run(t.Context(), t, grows, trial.Config{Repeat: 3, Slots: 1}); s.Growth != nil {
		t.Errorf("of three slices: %+v", s.Growth)
	}
	grows.startup = 0
	if s := run(t.Context(), t, grows, trial.Config{Repeat: 20, Slots: 1}); s.Growth != nil {
		t.Errorf("of a process per slice, which cannot: %+v", s.Growth)
	}
}

func TestResultsThatDifferAreNamed(t *testing.T) {
	t.Parallel()
	r := &script{outcome: func(_ context.Context, n int) wrapper.Outcome {
		o := done(1, 1, map[string]int64{"events": 7, "tracks": 20})
		o.Result.Outputs = []payload.Output{{Name: "a.root", SizeBytes: 5, Adler32: "0000000a"}}
		if n == 3 {
			o.Result.Counts["tracks"] = 21
			o.Result.Warnings = []string{"odd"}
		}
		return o
	}}
	s := run(t.Context(), t, r, trial.Config{Repeat: 10, Slots: 1})
	if len(s.Differences) != 2 || s.Differences[0].Part != "count tracks" || s.Differences[0].Values[0] != (trial.Value{Text: "20", Slices: 9}) {
		t.Errorf("%+v", s.Differences)
	}
	for _, want := range []string{"differ in 2 parts", "count tracks: 20 in 9; 21 in 1", "warnings: absent in 9; 1, "} {
		if !strings.Contains(text(t, s), want) {
			t.Errorf("%q is not in\n%s", want, text(t, s))
		}
	}
}

func TestAnEndFromOutsideLeavesWhatThereIs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &script{outcome: func(ctx context.Context, n int) wrapper.Outcome {
		if n < 5 {
			return done(1, 1, nil)
		}
		cancel()
		return wrapper.Outcome{Err: exitcode.New(exitcode.Interrupted, "ended: %w", ctx.Err())}
	}}
	s := run(ctx, t, r, trial.Config{Repeat: 100, Slots: 1})
	if s.Slices != 4 || s.Failed() != 0 {
		t.Errorf("%+v", s)
	}
}

func TestASummaryOfNothingCanBeShown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("at once"))
	s := run(ctx, t, &script{}, trial.Config{Repeat: 100, Slots: 2})
	if got := text(t, s); !strings.Contains(got, "0 slices in 2 slots") || !strings.Contains(got, "results  none") {
		t.Error(got)
	}
}

// stays is a payload that has to be made ready.
type stays struct {
	script
	fails bool
}

func (s *stays) Prepare(_ context.Context, slot int) (payload.Startup, error) {
	if s.fails && slot == 1 {
		return payload.Startup{}, exitcode.New(exitcode.PayloadCrashed, "not ready")
	}
	return payload.Startup{Took: time.Duration(slot+1) * time.Second}, nil
}

func TestStartUpsAreToldApart(t *testing.T) {
	t.Parallel()
	r := &stays{script: script{outcome: func(_ context.Context, n int) wrapper.Outcome {
		o := done(10, 1, nil)
		if n == 3 { // it died between two slices
			o.Result.Usage.Startup = 5 * time.Second
			o.Ended = o.Ended.Add(5 * time.Second)
		}
		return o
	}}}
	s := run(t.Context(), t, r, trial.Config{Repeat: 5, Slots: 2})
	if s.Startups != 3 || s.Startup.Max != 5 || s.Slice.Max > 1 || !strings.Contains(text(t, s), "start-up (3)") {
		t.Errorf("%+v", s)
	}
	r.fails = true
	if _, err := trial.Run(t.Context(), r, slice, trial.Config{Repeat: 5, Slots: 2}, nil); exitcode.From(err) != exitcode.PayloadCrashed {
		t.Errorf("%v", err)
	}
}

func TestFilesThatAreLeftAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("payload.py")
	before := trial.Files(dir)
	for _, name := range []string{"core.17", "new/a", "new/b", "__pycache__/work.pyc", ".cache/x", "venv/lib"} {
		write(name)
	}
	got := trial.Left(before, trial.Files(dir, filepath.Join(dir, "nowhere")))
	if want := []string{filepath.Join(dir, "core.17"), filepath.Join(dir, "new")}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
