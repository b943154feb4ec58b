package eicrecon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload/eicrecon"
)

// here is the stand-in that the test binary is.
func here(t *testing.T) *site {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newSite(t, "-a eicrecon "+self)
}

func TestADaemonWorksOnManySlices(t *testing.T) {
	t.Parallel()
	manySlices(t, here(t))
}

func manySlices(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	started, err := pl.payload.Prepare(t.Context(), pl.slot)
	if err != nil || started.Took <= 0 || started.Gone == nil {
		t.Fatalf("%+v, %v", started, err)
	}
	for range 5 {
		res := pl.mustDo(s.slice(t, "", "a", "b", "c"), "a\nb\nc\n")
		if res.Counts["events"] != 3 || res.Details["events_processed"] != 3 || res.Details["epic_version"] != "26.03.0" || res.Usage.Startup != 0 ||
			res.Usage.Wall <= 0 || !strings.Contains(res.Usage.Stdout, "reconstructing c") {
			t.Errorf("%+v", res)
		}
	}
	res := pl.mustDo(s.slice(t, `{"start":1,"end":2}`, "a", "b", "c", "d"), "b\nc\n")
	if len(res.Outputs) != 1 {
		t.Fatal("no output")
	}
	if name := res.Outputs[0].Name; name != "f6_slice_000_run_7_slice_0_s1_e2.edm4eic.root" || res.Outputs[0].SizeBytes == 0 || res.Outputs[0].Adler32 == "" {
		t.Errorf("%+v", res.Outputs)
	}
	if n := pl.started.Load(); n != 1 {
		t.Errorf("%d daemons", n)
	}
}

func TestAnotherVersionIsAnotherDaemon(t *testing.T) {
	t.Parallel()
	anotherVersion(t, here(t))
}

func anotherVersion(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	for i, version := range []string{"26.03.0", "26.04.0", "26.04.0", "26.03.0"} {
		res := pl.mustDo(s.slice(t, `{"epic_version":"`+version+`"}`, "a"), "a\n")
		if res.Details["epic_version"] != version || (i == 1) != (res.Usage.Startup > 0 && i == 1) {
			t.Errorf("%+v", res)
		}
	}
	// The version of a campaign is in the name of its files.
	if err := os.MkdirAll(filepath.Join(s.dir, "FULL", "26.04.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.dir, "FULL", "26.04.0", "x.root")
	write(t, file, "edm4hep\na\n", 0o644)
	if res := pl.mustDo(s.slice(t, `{"filename":"`+file+`"}`, "a"), "a\n"); res.Details["epic_version"] != "26.04.0" {
		t.Errorf("%+v", res)
	}
	if n := pl.started.Load(); n != 4 {
		t.Errorf("%d daemons", n)
	}
	_, _, err := pl.run(t.Context(), s.slice(t, `{"epic_version":"1.2.3"}`, "a"))
	if exitcode.From(err) != exitcode.DataInvalid || !strings.Contains(err.Error(), "epic-1.2.3/bin/thisepic.sh") {
		t.Error(err)
	}
	pl.mustDo(s.slice(t, "", "a"), "a\n")
}

// fault is one slice that goes wrong, and what is to be said of it.
type fault struct {
	over string
	// events of a file; end is the frame up to which they are asked for, when it is not the last.
	events []string
	want   exitcode.Failure
	say    string
	// kept says that the daemon is worth to be asked again.
	kept bool
	// limit is one that the slice goes past, or what else the payload's file says.
	limit func(*payloadfile.Spec)
}

// faults are those of which the stand-in that needs no Python is capable.
var faults = map[string]fault{
	"the input is not there":        {over: `{"filename":"/nowhere/x.root"}`, events: []string{"a"}, want: exitcode.DataMissing, say: "/nowhere/x.root", kept: true},
	"the input is no ROOT file":     {over: `{"filename":"/proc/version"}`, events: []string{"a"}, want: exitcode.DataCorrupt, say: "/proc/version", kept: true},
	"the input ends before":         {over: `{"end":5}`, events: []string{"a", "b"}, want: exitcode.PayloadBadResult, say: "2 events were processed, not the 6 from 0 on"},
	"the input ends long before":    {over: `{"start":5,"end":9}`, events: []string{"a"}, want: exitcode.DataRange, say: "no events from 5 on", kept: true},
	"an event is lost":              {events: []string{"a", "lose", "b"}, want: exitcode.PayloadBadResult, say: "2 events were processed, not the 3"},
	"the daemon crashes":            {events: []string{"a", "crash"}, want: exitcode.PayloadCrashed, say: "ended by a signal"},
	"the daemon ends":               {events: []string{"abort"}, want: exitcode.PayloadFailed, say: "status 3: JANA: unhandled exception"},
	"the reply is garbage":          {events: []string{"garbage"}, want: exitcode.PayloadBadResult, say: "its reply"},
	"the reply says nothing":        {events: []string{"mute"}, want: exitcode.PayloadBadResult, say: `status ""`},
	"the reply is of another slice": {events: []string{"other"}, want: exitcode.PayloadBadResult, say: "its reply is for "},
	"the writer is gone":            {events: []string{"nowriter"}, want: exitcode.PayloadFailed, say: "No active writer"},
	"the file says what an error means": {
		events: []string{"nowriter"}, want: exitcode.DataCorrupt, say: "No active writer", limit: func(s *payloadfile.Spec) {
			s.Failures.Stderr = []payloadfile.StderrRule{{Match: "^No active writer", As: exitcode.DataCorrupt.Name}}
		},
	},
	"the output is not there": {events: []string{"nofile"}, want: exitcode.PayloadBadResult, say: ".edm4eic.root", kept: true},
	"its folder is gone":      {events: []string{"remove"}, want: exitcode.PayloadBadResult, say: "no such file", kept: true},
	"it computes for ever": {
		events: []string{"burn"}, want: exitcode.PayloadLimit, say: "out of CPU time", limit: func(s *payloadfile.Spec) { s.Limits.CPU = time.Second },
	},
	"it fills the disk": {
		events: []string{"fill"}, want: exitcode.PayloadLimit, say: "out of disk", limit: func(s *payloadfile.Spec) { s.DiskMB = 5 },
	},
	"it hangs": {
		events: []string{"hang"}, want: exitcode.PayloadLooping, say: "looping = 2s", limit: func(s *payloadfile.Spec) { s.Limits.Looping = 2 * time.Second },
	},
	"the slice asks for a bad version": {over: `{"epic_version":"$(reboot)"}`, events: []string{"a"}, want: exitcode.DataInvalid, say: `"$(reboot)" is no version`, kept: true},
}

func TestWhatGoesWrongIsToldAndTheNextSliceIsDone(t *testing.T) {
	t.Parallel()
	goesWrong(t, here(t), faults)
}

func goesWrong(t *testing.T, s *site, faults map[string]fault) {
	t.Helper()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := &site{dir: s.dir, spec: s.spec}
			if f.limit != nil {
				f.limit(&own.spec)
			}
			pl := own.open(t)
			pl.mustDo(s.slice(t, "", "a"), "a\n")
			before := pl.started.Load()
			res, _, err := pl.run(t.Context(), s.slice(t, f.over, f.events...))
			if exitcode.From(err) != f.want || !strings.Contains(err.Error(), f.say) || len(res.Outputs) != 0 {
				t.Errorf("%s: %v, %+v", exitcode.From(err).Name, err, res.Outputs)
			}
			lost := f.want == exitcode.PayloadCrashed || f.say == faults["the daemon ends"].say
			// The slice that takes a daemon with it has had a second one, which had worked on nothing else.
			want := before
			if lost {
				want++
			}
			if !f.kept {
				want++
			}
			pl.mustDo(s.slice(t, "", "b", "c"), "b\nc\n")
			if n := pl.started.Load(); n != want {
				t.Errorf("%d daemons, not %d", n, want)
			}
		})
	}
}

func TestADaemonThatDoesNotAnswerIsEndedWithItsSlice(t *testing.T) {
	t.Parallel()
	s := here(t)
	s.spec.EICrecon.RequestTimeout = time.Second
	noAnswer(t, s, "hang")
}

func noAnswer(t *testing.T, s *site, event string) {
	t.Helper()
	pl := s.open(t)
	res, _, err := pl.run(t.Context(), s.slice(t, "", event))
	if exitcode.From(err) != exitcode.PayloadTimeout || !strings.Contains(err.Error(), "did not answer within 1s, its request_timeout") || res.Usage.Wall < time.Second {
		t.Errorf("%v, %+v", err, res.Usage)
	}
	if n := pl.started.Load(); n != 1 {
		t.Errorf("%d daemons", n)
	}
}

func TestASlotThatIsTakenBackEndsItsDaemon(t *testing.T) {
	t.Parallel()
	s := here(t)
	s.spec.Env = map[string]string{"EICRECON_FAULT": "stubborn"}
	s.spec.Grace = 100 * time.Millisecond
	takenBack(t, s)
}

func takenBack(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	started, err := pl.payload.Prepare(t.Context(), pl.slot)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("the slot's time is over")) })
	_, _, err = pl.run(ctx, s.slice(t, "", "hang"))
	if exitcode.From(err) != exitcode.Interrupted || !strings.Contains(err.Error(), "the slot's time is over") {
		t.Error(err)
	}
	<-started.Gone
}

func TestADaemonThatDoesNotStartIsTold(t *testing.T) {
	t.Parallel()
	doesNotStart(t, here(t), map[string]start{
		"exit":  {want: exitcode.PayloadFailed, say: "status 1: geometry not found"},
		"never": {want: exitcode.PayloadTimeout, say: "was not ready within its startup_timeout of 500ms"},
	})
}

type start struct {
	want exitcode.Failure
	say  string
}

func doesNotStart(t *testing.T, s *site, starts map[string]start) {
	t.Helper()
	for fault, c := range starts {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			bad := &site{dir: s.dir, spec: s.spec}
			bad.spec.Env = map[string]string{"EICRECON_FAULT": fault}
			if c.want == exitcode.PayloadTimeout {
				bad.spec.EICrecon.StartupTimeout = 500 * time.Millisecond
			}
			pl := bad.open(t)
			_, err := pl.payload.Prepare(t.Context(), pl.slot)
			if exitcode.From(err) != c.want || !strings.Contains(err.Error(), c.say) {
				t.Error(err)
			}
		})
	}
}

func TestADaemonThatDiesBetweenSlicesIsStartedAgain(t *testing.T) {
	t.Parallel()
	diesBetween(t, here(t))
}

func diesBetween(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	started, err := pl.payload.Prepare(t.Context(), pl.slot)
	if err != nil {
		t.Fatal(err)
	}
	pl.mustDo(s.slice(t, "", "a"), "a\n")
	for _, pid := range pl.daemons() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	<-started.Gone
	if res := pl.mustDo(s.slice(t, "", "b"), "b\n"); res.Usage.Startup <= 0 || pl.started.Load() != 2 {
		t.Errorf("%+v", res.Usage)
	}
}

func TestWhatADaemonDoesBesidesIsNoFault(t *testing.T) {
	t.Parallel()
	besides(t, here(t))
}

func besides(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	const most = 40 << 10
	if res := pl.mustDo(s.slice(t, "", "print"), "print\n"); len(res.Usage.Stdout) > most || len(res.Usage.Stdout) < most/4 {
		t.Errorf("%d bytes of what it printed are kept", len(res.Usage.Stdout))
	}
	left := 0
	for range 50 { // processes that are left behind are looked for ten times a second
		left += pl.mustDo(s.slice(t, "", "leave"), "leave\n").Usage.LeftBehind
		if left > 0 {
			break
		}
	}
	if left == 0 || pl.started.Load() != 1 {
		t.Errorf("%d processes were left behind, of %d daemons", left, pl.started.Load())
	}
}

func TestOneProcessForEachSlice(t *testing.T) {
	t.Parallel()
	s := here(t)
	s.spec.EICrecon.Mode = ""
	oneshot(t, s)
}

func oneshot(t *testing.T, s *site) {
	t.Helper()
	pl := s.open(t)
	if started, err := pl.payload.Prepare(t.Context(), pl.slot); err != nil || started.Took != 0 || started.Gone != nil {
		t.Errorf("%+v, %v", started, err)
	}
	res := pl.mustDo(s.slice(t, `{"start":1,"end":2}`, "a", "b", "c", "d"), "b\nc\n")
	if res.Details["nevents_processed"] != 2 || res.Details["epic_version"] != "26.03.0" || !strings.Contains(res.Usage.Stdout, "reconstructing c") {
		t.Errorf("%+v", res)
	}
	for name, f := range faults {
		if f.limit == nil && f.want != exitcode.PayloadBadResult && f.want != exitcode.DataMissing && f.want != exitcode.DataCorrupt && f.want != exitcode.DataRange && name != "the writer is gone" {
			if _, _, err := pl.run(t.Context(), s.slice(t, f.over, f.events...)); exitcode.From(err) != f.want || !strings.Contains(err.Error(), f.say) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, _, err := pl.run(t.Context(), s.slice(t, "", "nofile")); exitcode.From(err) != exitcode.PayloadBadResult {
		t.Error(err)
	}
	if n := pl.started.Load(); n != 0 {
		t.Errorf("%d daemons", n)
	}
	// The slice says which it wants.
	if res := pl.mustDo(s.slice(t, `{"processor_type":"zeromq"}`, "a"), "a\n"); res.Details["events_processed"] != 1 || pl.started.Load() != 1 {
		t.Errorf("%+v", res)
	}
}

func TestTheProgramIsLookedForBeforeAnySlice(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, c := range map[string]struct {
		payloadfile.EICrecon
		want exitcode.Failure
	}{
		"the image is not there": {payloadfile.EICrecon{Image: "/nowhere/eic_xl.sif"}, exitcode.SiteContainer},
		"nothing can run it":     {payloadfile.EICrecon{Image: "docker://eicweb/eic_xl:nightly"}, exitcode.SiteContainer},
		"nor the one of its version, which a daemon needs at once": {payloadfile.EICrecon{Mode: payloadfile.EICreconZMQ, Version: "0.0.0"}, exitcode.SiteContainer},
		"there is no shell":     {payloadfile.EICrecon{Image: payloadfile.NoImage}, exitcode.SiteNoProgram},
		"slices say what it is": {payloadfile.EICrecon{}, exitcode.OK},
	} {
		if _, err := eicrecon.New(payloadfile.Spec{Kind: payloadfile.KindEICrecon, EICrecon: c.EICrecon}); exitcode.From(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("EICRECON_TIMEOUT", "5m")
	if _, err := eicrecon.New(payloadfile.Spec{Kind: payloadfile.KindEICrecon}); exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), `EICRECON_TIMEOUT="5m"`) {
		t.Error(err)
	}
}

func TestTheExampleOfTheDocumentationIsRight(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/eicrecon.md")
	if err != nil {
		t.Fatal(err)
	}
	const beginning = "name    = \"eicrecon\"\n"
	_, text, found := strings.Cut(string(page), "```toml\n"+beginning)
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatal("there is none")
	}
	file := filepath.Join(t.TempDir(), "eicrecon.toml")
	write(t, file, beginning+text, 0o600)
	spec, err := payloadfile.Load(file)
	e := spec.EICrecon
	if err != nil || spec.Kind != payloadfile.KindEICrecon || e.Mode != payloadfile.EICreconZMQ || e.StartupTimeout != 3*time.Minute || e.RequestTimeout != 5*time.Minute {
		t.Errorf("%+v, %v", spec, err)
	}
}
