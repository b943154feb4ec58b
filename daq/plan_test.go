package daq_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/daq"
	"tfpilot/internal/exitcode"
)

func TestOnlyLegalTransitionsAreMade(t *testing.T) {
	t.Parallel()
	all := []daq.Condition{daq.Off, daq.NoBeam, daq.BeamNotReady, daq.BeamReady, daq.Physics, daq.Standby}
	legal := map[[2]daq.Condition]bool{
		{daq.Off, daq.NoBeam}: true, {daq.NoBeam, daq.BeamNotReady}: true, {daq.NoBeam, daq.Off}: true,
		{daq.BeamNotReady, daq.BeamReady}: true, {daq.BeamNotReady, daq.NoBeam}: true,
		{daq.BeamReady, daq.Physics}: true, {daq.BeamReady, daq.BeamNotReady}: true, {daq.BeamReady, daq.NoBeam}: true,
		{daq.Physics, daq.Standby}: true, {daq.Physics, daq.BeamNotReady}: true, {daq.Physics, daq.Off}: true,
		{daq.Standby, daq.Physics}: true, {daq.Standby, daq.BeamNotReady}: true, {daq.Standby, daq.Off}: true,
	}
	for _, from := range all {
		for _, to := range all {
			err := from.To(to)
			if _, illegal := errors.AsType[*daq.TransitionError](err); illegal == legal[[2]daq.Condition{from, to}] {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
}

func TestSubstatesHaveTheirStates(t *testing.T) {
	t.Parallel()
	for c, ok := range map[daq.Condition]bool{
		daq.Physics: true,
		{State: daq.StateNoBeam, Substate: "ready"}:  false,
		{State: daq.StateBeam, Substate: "lumi"}:     true,
		{State: daq.StateOff, Substate: "lumi"}:      false,
		{State: daq.StateTest, Substate: "standby"}:  true,
		{State: daq.StateRun, Substate: "not_ready"}: false,
		{State: daq.StateRun, Substate: "asleep"}:    false,
	} {
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestARunIsTheProductionRunnersSequence(t *testing.T) {
	t.Parallel()
	p := daq.DefaultPlan()
	p.STFCount, p.PhysicsPeriodCount = 3, 2
	var got []string
	at := daq.Off
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
	p := daq.DefaultPlan()
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
func covers(list []daq.Range, first, last int) bool {
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
		r := daq.Range{First: first, Last: first + n - 1}
		split := daq.Split(r, parts)
		if !covers(split, r.First, r.Last) || len(split) != min(parts, n) {
			rt.Fatalf("split %v", split)
		}
		for i, s := range split[:len(split)-1] {
			if s.Count() != n/len(split) {
				rt.Fatalf("range %d of %v", i, split)
			}
		}
		chunks := daq.Chunk(r, width)
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
		got := daq.Sample(n, k, 0.15, 0.1, rand.New(rand.NewPCG(seed, 1)))
		for i, part := range daq.Split(daq.All(n), k) {
			if s := got[i]; s.First < part.First || s.Last > part.Last || s.Count() < 1 {
				rt.Fatalf("sample %v of partition %v", s, part)
			}
		}
	})
}

func TestSlicesOfAWholeSTFAreFifteenRanges(t *testing.T) {
	t.Parallel()
	p := daq.DefaultPlan()
	p.Run = "1"
	got := p.Slices(daq.STF{Sequence: 1, Name: "swf.1.000001.stf"})
	if len(got) != 15 || got[0].Range != (daq.Range{First: 0, Last: 65}) || got[14].Range != (daq.Range{First: 924, Last: 999}) {
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
	p := daq.DefaultPlan()
	p.Run, p.Mode = "1", string(daq.ModeSamples)
	stf := daq.STF{Sequence: 4, Name: "swf.1.000004.stf"}
	var want []daq.Range
	for _, s := range p.Samples(stf) {
		want = append(want, daq.Chunk(s.Range, 2)...)
	}
	var got []daq.Range
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
	id := daq.ReqID("ns", "1", "a.tf", 0)
	if id != daq.ReqID("ns", "1", "a.tf", 0) {
		t.Error("not the same twice")
	}
	for _, other := range []string{daq.ReqID("n", "1", "a.tf", 0), daq.ReqID("ns", "2", "a.tf", 0), daq.ReqID("ns", "1", "b.tf", 0), daq.ReqID("ns", "1", "a.tf", 1)} {
		if other == id {
			t.Error("another slice has the same")
		}
	}
}

func TestTheSamplingRateIsThatOfTheSTFs(t *testing.T) {
	t.Parallel()
	p := daq.DefaultPlan()
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
	p := daq.DefaultPlan()
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
