package runplan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/runplan"
)

func TestOnlyLegalTransitionsAreMade(t *testing.T) {
	t.Parallel()
	all := []runplan.Condition{runplan.Off, runplan.NoBeam, runplan.BeamNotReady, runplan.BeamReady, runplan.Physics, runplan.Standby}
	legal := map[[2]runplan.Condition]bool{
		{runplan.Off, runplan.NoBeam}: true, {runplan.NoBeam, runplan.BeamNotReady}: true, {runplan.NoBeam, runplan.Off}: true,
		{runplan.BeamNotReady, runplan.BeamReady}: true, {runplan.BeamNotReady, runplan.NoBeam}: true,
		{runplan.BeamReady, runplan.Physics}: true, {runplan.BeamReady, runplan.BeamNotReady}: true, {runplan.BeamReady, runplan.NoBeam}: true,
		{runplan.Physics, runplan.Standby}: true, {runplan.Physics, runplan.BeamNotReady}: true, {runplan.Physics, runplan.Off}: true,
		{runplan.Standby, runplan.Physics}: true, {runplan.Standby, runplan.BeamNotReady}: true, {runplan.Standby, runplan.Off}: true,
	}
	for _, from := range all {
		for _, to := range all {
			err := from.To(to)
			if _, illegal := errors.AsType[*runplan.TransitionError](err); illegal == legal[[2]runplan.Condition{from, to}] {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
}

func TestSubstatesHaveTheirStates(t *testing.T) {
	t.Parallel()
	for c, ok := range map[runplan.Condition]bool{
		runplan.Physics: true,
		{State: runplan.StateNoBeam, Substate: "ready"}:  false,
		{State: runplan.StateBeam, Substate: "lumi"}:     true,
		{State: runplan.StateOff, Substate: "lumi"}:      false,
		{State: runplan.StateTest, Substate: "standby"}:  true,
		{State: runplan.StateRun, Substate: "not_ready"}: false,
		{State: runplan.StateRun, Substate: "asleep"}:    false,
	} {
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestARunIsTheProductionRunnersSequence(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.STFCount, p.PhysicsPeriodCount = 3, 2
	var got []string
	at := runplan.Off
	for s := range p.Steps() {
		if s.Condition != at {
			if err := at.To(s.Condition); err != nil {
				t.Error(err)
			}
			at = s.Condition
		}
		line := fmt.Sprintf("%5.1f %s", s.Tick.Seconds(), s.Condition)
		if s.Message != "" {
			line += " " + s.Message
		}
		if s.Sequence > 0 {
			line += fmt.Sprint(" STF ", s.Sequence)
		}
		got = append(got, line)
	}
	want := []string{
		"  0.0 no_beam/not_ready",
		"  5.0 beam/not_ready run_imminent",
		" 11.0 beam/ready",
		" 13.0 run/physics start_run",
		" 16.1 run/physics STF 1",
		" 16.1 run/standby pause_run",
		" 18.1 run/physics resume_run",
		" 20.2 run/physics STF 2",
		" 22.2 run/physics STF 3",
		" 22.2 beam/not_ready end_run",
		" 27.2 no_beam/not_ready",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndlessPlanGoesOn(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.STFCount, p.PhysicsPeriodCount = 0, 0
	n := 0
	for s := range p.Steps() {
		if n = s.Sequence; n == 100 {
			break
		}
	}
	if n != 100 {
		t.Errorf("it ended at STF %d", n)
	}
}

// covers reports whether the ranges follow each other from first to last without a gap.
func covers(list []runplan.Range, first, last int) bool {
	for _, r := range list {
		if r.First != first || r.Last < r.First {
			return false
		}
		first = r.Last + 1
	}
	return first == last+1
}

func TestRangesCoverEveryFrameOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		first, n := rapid.IntRange(0, 5000).Draw(rt, "first"), rapid.IntRange(1, 3000).Draw(rt, "frames")
		parts, width := rapid.IntRange(1, 100).Draw(rt, "parts"), rapid.IntRange(1, 100).Draw(rt, "width")
		r := runplan.Range{First: first, Last: first + n - 1}
		split := runplan.Split(r, parts)
		if !covers(split, r.First, r.Last) || len(split) != min(parts, n) {
			rt.Fatalf("split %v", split)
		}
		for i, s := range split[:len(split)-1] {
			if s.Count() != n/len(split) {
				rt.Fatalf("range %d of %v", i, split)
			}
		}
		chunks := runplan.Chunk(r, width)
		if !covers(chunks, r.First, r.Last) || len(chunks) != (n+width-1)/width {
			rt.Fatalf("chunks %v", chunks)
		}
	})
}

func TestSamplesLieEachInItsPartition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n, k := rapid.IntRange(1, 3000).Draw(rt, "frames"), rapid.IntRange(1, 50).Draw(rt, "samples")
		seed := rapid.Uint64().Draw(rt, "seed")
		got := runplan.Sample(n, k, 0.15, 0.1, rand.New(rand.NewPCG(seed, 1)))
		for i, part := range runplan.Split(runplan.All(n), k) {
			if s := got[i]; s.First < part.First || s.Last > part.Last || s.Count() < 1 {
				rt.Fatalf("sample %v of partition %v", s, part)
			}
		}
	})
}

func TestSlicesOfAWholeSTFAreFifteenRanges(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.Run = "1"
	got := p.Slices(runplan.STF{Sequence: 1, Name: "swf.1.000001.stf"})
	if len(got) != 15 || got[0].Range != (runplan.Range{First: 0, Last: 65}) || got[14].Range != (runplan.Range{First: 924, Last: 999}) {
		t.Errorf("%+v", got)
	}
	if got[3].Name != "swf.1.000001_slice_003.tf" || got[3].ID != 3 {
		t.Errorf("%+v", got[3])
	}
	instants := map[time.Time]bool{}
	for _, s := range got {
		instants[s.CreatedAt] = true
	}
	if len(instants) != 15 {
		t.Error("two slices have the same created_at, by which a peer names them")
	}
}

func TestSlicesOfSamplesAreChunksOfEach(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.Run, p.Mode = "1", string(runplan.ModeSamples)
	stf := runplan.STF{Sequence: 4, Name: "swf.1.000004.stf"}
	var want []runplan.Range
	for _, s := range p.Samples(stf) {
		want = append(want, runplan.Chunk(s.Range, 2)...)
	}
	var got []runplan.Range
	ids := map[string]bool{}
	for _, s := range p.Slices(stf) {
		got = append(got, s.Range)
		ids[s.ReqID] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(got) || len(got) < 50 {
		t.Errorf("%d slices, %d identities\n%s", len(got), len(ids), diff)
	}
}

func TestIdentitiesFollowFromWhatASliceIs(t *testing.T) {
	t.Parallel()
	id := runplan.ReqID("ns", "1", "a.tf", 0)
	if id != runplan.ReqID("ns", "1", "a.tf", 0) {
		t.Error("not the same twice")
	}
	for _, other := range []string{runplan.ReqID("n", "1", "a.tf", 0), runplan.ReqID("ns", "2", "a.tf", 0), runplan.ReqID("ns", "1", "b.tf", 0), runplan.ReqID("ns", "1", "a.tf", 1)} {
		if other == id {
			t.Error("another slice has the same")
		}
	}
}

func TestTheSamplingRateIsThatOfTheSTFs(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.STFSamplingRate = 0.3
	n := 0
	for i := range 2000 {
		if p.Sliced(i) {
			n++
		}
	}
	if n < 500 || n > 700 {
		t.Errorf("%d of 2000 are sliced, want about 600", n)
	}
}

func TestAPlanAgainstReasonNamesEveryMistake(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.Frames, p.STFInterval, p.Mode, p.STFSamplingRate, p.Run, p.STFCount, p.SliceLifetime = 0, -time.Second, "all", 2, "../1", 1e9, 1e6*time.Hour
	err := p.Validate()
	for _, want := range []string{
		"--frames 0: must be 1 to 1000000", "--stf-interval -1s", `--mode "all"`, "--stf-sampling-rate 2: must be 0 to 1", `--run "../1"`,
		"--stf-count 1000000000: must be 0 to 1000000", "--slice-lifetime 1000000h0m0s: must be 0 to 8760h",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if exitcode.From(err) != exitcode.Usage {
		t.Errorf("class of %v", err)
	}
}

func TestTwoPlansDifferByTheKeysThatPeopleKnow(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	if d := p.Difference(p); d != "" {
		t.Errorf("of one plan: %q", d)
	}
	other := p
	other.Frames, other.STFInterval = 500, time.Second
	if got, want := p.Difference(other), "stf_interval was 2s, is 1s, frames was 1000, is 500"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
