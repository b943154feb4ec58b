package resident_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/internal/testkit"
	"tfpilot/payload"
)

func TestOneProcessWorksOnOneSliceAfterAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	started, err := r.prepare(0)
	if err != nil || started.Took == 0 || started.Gone == nil {
		t.Fatalf("%+v, %v", started, err)
	}
	if again, err := r.prepare(0); err != nil || again.Took != 0 {
		t.Errorf("ready already: %+v, %v", again, err)
	}
	first, o := r.good(), r.do("good")
	if o.Err != nil || o.Counts["process"] != first || o.Counts["nth"] != 2 {
		t.Errorf("after process %d: %v, %v", first, o.Counts, o.Err)
	}
	if u := o.Usage; u.Startup != 0 || u.Wall == 0 || u.Stderr != "working on good\n" {
		t.Errorf("%+v", u)
	}
}

// TestEveryFailureHasItsVerdictAndTheSlotGoesOn has each one followed by a good slice: by the same process where that is to be
// trusted, by a fresh one elsewhere.
func TestEveryFailureHasItsVerdictAndTheSlotGoesOn(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		want  exitcode.Failure
		words string
		same  bool // the process goes on
	}{
		"fails":      {exitcode.PayloadPermanent, "said status 11: of this kind", true},
		"names-it":   {exitcode.DataCorrupt, "frame 7", true},
		"no-result":  {exitcode.PayloadNoResult, "status 0 and no result", true},
		"bad-result": {exitcode.PayloadBadResult, "cuonts", true},
		"crashes":    {exitcode.PayloadCrashed, "ended by a signal, killed", false},
		"ends":       {exitcode.PayloadCrashed, "ended with status 0 while it worked on the slice: working on ends", false},
		"says-11":    {exitcode.PayloadPermanent, "status 11: of no use", false},
		"hangs":      {exitcode.PayloadTimeout, "longer than its", false},
		"garbage":    {exitcode.PayloadBadResult, `"Segment 7 of 9", which is no JSON object`, false},
		"half":       {exitcode.PayloadBadResult, "half a line", false},
		"endless":    {exitcode.PayloadBadResult, "a line of more than 9 MB", false},
		"other":      {exitcode.PayloadBadResult, `for another slice, "another"`, false},
		"closes":     {exitcode.PayloadNoResult, "closed its stdout", false},
		"grows":      {exitcode.PayloadMemory, "out of memory", false},
		"fills":      {exitcode.PayloadLimit, "out of disk", false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := spec(t, "")
			if what == "hangs" {
				s.Timeout = 300 * time.Millisecond
			}
			s.MemoryMB, s.DiskMB = 200, 4
			r := newRig(t, s)
			before := r.good()
			mustFail(t, r.do(what), c.want, c.words)
			if same := r.good() == before; same != c.same {
				t.Errorf("the next slice has the same process: %v, want %v", same, c.same)
			}
		})
	}
}

func TestASliceThatIsLostWithItsProcessIsGivenToAFreshOneOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	before := r.good()
	o := r.do("crashes-once")
	if o.Err != nil || o.Counts["left"] != 0 || o.Usage.Startup == 0 {
		t.Errorf("%v, %+v", o.Err, o.Result)
	}
	if r.good() == before {
		t.Error("the process has come back to life")
	}
}

func TestAnAnswerOfAnotherSliceIsNeverTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	r.good()
	// Its own answer comes first: whether the second one comes before the next slice or while that is worked on, it is of no use.
	for range 5 {
		if o := r.do("twice"); o.Err != nil {
			t.Fatal(o.Err)
		}
		o := r.do("fails")
		mustFail(t, o, exitcode.PayloadPermanent, "of this kind")
	}
	// One that answers for another slice has lost this one, which a fresh process does.
	if o := r.do("other-once"); o.Err != nil || o.Counts["nth"] != 1 {
		t.Errorf("%v, %v", o.Counts, o.Err)
	}
}

func TestASliceThatFailedAndComesAgainGetsAFreshProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	before := r.good()
	mustFail(t, r.named("fails", "same"), exitcode.PayloadPermanent, "")
	if r.good() != before {
		t.Error("another slice got a fresh process")
	}
	if o := r.named("good", "same"); o.Err != nil || o.Counts["process"] == before {
		t.Errorf("the same process: %v", o.Err)
	}
}

func TestKeepAliveTellsWorkFromSilence(t *testing.T) {
	t.Parallel()
	s := spec(t, "")
	s.Resident.Keepalive = 10 * time.Second
	r := newRig(t, s)
	if o := r.do("alive"); o.Err != nil {
		t.Error(o.Err)
	}
	s.Resident.Keepalive = 50 * time.Millisecond
	mustFail(t, newRig(t, s).do("hangs"), exitcode.PayloadTimeout, "said nothing for 50ms (keepalive)")
}

func TestWhatDoesNotBecomeReadySaysWhy(t *testing.T) {
	t.Parallel()
	for how, c := range map[string]struct {
		want  exitcode.Failure
		words string
	}{
		"exits":   {exitcode.PayloadFailed, "status 3: no licence"},
		"refuses": {exitcode.SiteNoSpace, "status 30: no room for the geometry"},
		"mute":    {exitcode.PayloadTimeout, "not ready after 200ms"},
		"banner":  {exitcode.PayloadBadResult, `"Welcome to Payload 1.0"`},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := spec(t, how)
			if how == "mute" {
				s.Resident.StartupTimeout = 200 * time.Millisecond
			}
			r := newRig(t, s)
			started, err := r.prepare(0)
			if got := exitcode.From(err); got != c.want || !strings.Contains(err.Error(), c.words) || len(started.Logs) != 1 {
				t.Errorf("%s: %v, logs %v", got.Name, err, started.Logs)
			}
			if o := r.do("good"); !errors.Is(o.Err, payload.ErrNotReady) || exitcode.From(o.Err) != c.want {
				t.Errorf("the fault of a slice: %v", o.Err)
			}
		})
	}
}

func TestAProcessIsReplacedWhenItIsDue(t *testing.T) {
	t.Parallel()
	s := spec(t, "")
	s.Resident.RecycleSlices = 2
	r := newRig(t, s)
	started, err := r.prepare(0)
	if err != nil {
		t.Fatal(err)
	}
	first := r.good()
	mustBeThere(t, started)
	r.good()
	wait(t, started.Gone)
	if started, err = r.prepare(0); err != nil || started.Replaces != "it had worked on 2 slices (recycle_slices)" {
		t.Errorf("%+v, %v", started, err)
	}
	if r.good() == first {
		t.Error("it was not replaced")
	}

	s.Resident = payloadfile.Resident{StartupTimeout: time.Minute, RecycleMB: 1}
	r = newRig(t, s)
	if started, err = r.prepare(0); err != nil {
		t.Fatal(err)
	}
	r.good()
	wait(t, started.Gone)
	if started, err = r.prepare(0); err != nil || started.Replaces != "it held more than 1 MB (recycle_mb)" {
		t.Errorf("%+v, %v", started, err)
	}
}

func TestASlotWhoseProcessDiesBetweenSlicesHasToBePreparedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, "dies-idle"))
	for n := range 3 {
		started, err := r.prepare(0)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && !strings.HasPrefix(started.Replaces, "it ended with status 0") {
			t.Errorf("%+v", started)
		}
		wait(t, started.Gone)
	}
}

func TestWhatFailsAgainAndAgainIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"dies-idle", "exits"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, spec(t, how))
			starts := 0
			r.start = func(ctx context.Context, c proc.Command, l keeper.Limits) (*keeper.Program, error) {
				starts++
				return r.keepers.Start(ctx, c, l)
			}
			for range 2 {
				if started, err := r.prepare(0); err == nil {
					wait(t, started.Gone)
				}
			}
			// Nobody waits here: with the time that it takes to start another one it would have been started.
			ctx, stop := context.WithCancel(t.Context())
			stop()
			for range 20 {
				if _, err := r.payload.Prepare(ctx, r.slot(0)); exitcode.From(err) != exitcode.Interrupted {
					t.Error(err)
				}
			}
			if starts != 2 {
				t.Errorf("started %d times", starts)
			}
		})
	}
}

func TestWhatASliceLeavesBehindIsKilledAndWhatIsOfTheProcessIsNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	o := r.do("daemon")
	if o.Err != nil || o.Usage.LeftBehind != 1 {
		t.Errorf("%v, %+v", o.Err, o.Usage)
	}
	if o.Usage.Processes < 3 {
		t.Errorf("not all processes were seen: %+v", o.Usage)
	}
	if o := r.do("good"); o.Err != nil || o.Counts["nth"] != 2 || o.Usage.LeftBehind != 0 {
		t.Errorf("%v, %+v", o.Err, o.Result)
	}
}

// Who starts it in a container listens to what it prints before it passes that on.
func TestWhatItPrintsIsTakenFromWhoeverPassesItOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	r.start = func(ctx context.Context, c proc.Command, l keeper.Limits) (*keeper.Program, error) {
		c.Stderr = struct{ io.Writer }{c.Stderr}
		return r.keepers.Start(ctx, c, l)
	}
	if o := r.do("floods"); o.Err != nil || len(o.Usage.Stderr) < 16<<10 {
		t.Errorf("%v, %d bytes", o.Err, len(o.Usage.Stderr))
	}
	mustFail(t, r.do("says-11"), exitcode.PayloadPermanent, "of no use")
}

func TestAProcessThatTakesNothingMoreIsNoUse(t *testing.T) {
	t.Parallel()
	s := spec(t, "")
	s.Timeout = 300 * time.Millisecond
	r := newRig(t, s)
	if o := r.do("closes-other"); o.Err != nil {
		t.Error(o.Err)
	}
	r.do("good") // whatever becomes of it: nobody reads it
	r.good()
}

func TestAFolderThatIsRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	if o := r.do("removes"); o.Err != nil {
		t.Error(o.Err)
	}
	r.good()
	mustFail(t, r.do("crashes"), exitcode.PayloadCrashed, "killed")
	r.good()
}

func TestSlotsHaveAProcessEach(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	var gone [3]<-chan struct{}
	for n := range gone {
		started, err := r.prepare(n)
		if err != nil {
			t.Fatal(err)
		}
		gone[n] = started.Gone
	}
	seen := make(chan int64, len(gone))
	for n := range gone {
		go func() { seen <- r.run(t.Context(), n, slice("alive", "alive")).Counts["process"] }()
	}
	all := map[int64]bool{}
	for range gone {
		all[<-seen] = true
	}
	if len(all) != 3 {
		t.Errorf("processes: %v", all)
	}
	r.close()
	for _, g := range gone {
		wait(t, g)
	}
}

func TestAProcessThatStaysAtTheEndIsKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, "stays"))
	r.good()
	r.close()
}

func TestASliceWhoseSlotIsTakenBackEndsItsProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, spec(t, ""))
	started, err := r.prepare(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { stop(errors.New("the slot is needed")) })
	mustFail(t, r.run(ctx, 0, slice("hangs", "hangs")), exitcode.Interrupted, "the slot is needed")
	wait(t, started.Gone)
}

func mustBeThere(t *testing.T, s payload.Startup) {
	t.Helper()
	select {
	case <-s.Gone:
		t.Error("the process is gone")
	default:
	}
}

func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(testkit.Patience):
		t.Fatal("waited too long")
	}
}
