package runplan

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// Mode says what is sliced.
type Mode string

// The modes: whole STFs in slices_per_sample ranges, or samples in ranges of num_tf_per_slice frames.
const (
	ModeSTF     Mode = "stf"
	ModeSamples Mode = "samples"
)

// Plan is what happens in a run. Its keys and defaults are those of daq_state_machine and fast_processing in the production
// system, as far as they exist there. Zero means zero: [Default] has the defaults.
type Plan struct {
	// Run names the run; the state folder decides when empty.
	Run         string `toml:"run" help:"run number; when empty, the unfinished one of the state folder or else the next"`
	Namespace   string `toml:"namespace" default:"default" help:"namespace of all messages"`
	ExecutionID string `toml:"execution_id" help:"execution id in the messages; made from the run when empty"`
	Sender      string `toml:"sender" default:"daq" help:"name under which messages are sent"`
	// Seed is the one source of chance: samples, and the detector's frames.
	Seed uint64 `toml:"seed" default:"1" zero:"true" help:"seed of everything that is random"`

	NoBeamNotReadyDelay   time.Duration `toml:"no_beam_not_ready_delay" default:"5s" zero:"true" help:"time in no_beam/not_ready"`
	BeamNotReadyDelay     time.Duration `toml:"beam_not_ready_delay" default:"5s" zero:"true" help:"time in beam/not_ready before the run"`
	BeamReadyDelay        time.Duration `toml:"beam_ready_delay" default:"2s" zero:"true" help:"time in beam/ready"`
	BeamNotReadyEndDelay  time.Duration `toml:"beam_not_ready_end_delay" default:"5s" zero:"true" help:"time in beam/not_ready after the run"`
	BroadcastDelay        time.Duration `toml:"broadcast_delay" default:"1s" zero:"true" help:"time that others get to react to a run message"`
	STFInterval           time.Duration `toml:"stf_interval" default:"2s" zero:"true" help:"time between two STFs"`
	STFGenerationTime     time.Duration `toml:"stf_generation_time" default:"100ms" zero:"true" help:"time from an STF's end to its file, when the file is ready before"`
	PhysicsPeriodDuration time.Duration `toml:"physics_period_duration" default:"10s" help:"length of a physics period, unless stf_count and physics_period_count say how many STFs it has"`
	PhysicsPeriodCount    int           `toml:"physics_period_count" default:"1" zero:"true" help:"physics periods, with a pause between two; 0 is endless"`
	StandbyDuration       time.Duration `toml:"standby_duration" default:"2s" zero:"true" help:"length of a pause"`
	// STFCount 0 takes as many as the periods have room for.
	STFCount int `toml:"stf_count" default:"10" zero:"true" help:"STFs in the run, shared among the periods; 0 is as many as fit into them"`
	Frames   int `toml:"frames" default:"1000" help:"time frames in an STF"`

	TargetWorkerCount   int           `toml:"target_worker_count" default:"30" help:"workers that the run asks for"`
	WorkerRampupTime    time.Duration `toml:"worker_rampup_time" default:"5m" zero:"true" help:"forwarded with the request for workers"`
	WorkerRampdownTime  time.Duration `toml:"worker_rampdown_time" default:"1m" zero:"true" help:"forwarded with the request for workers"`
	SliceProcessingTime time.Duration `toml:"slice_processing_time" default:"30s" zero:"true" help:"forwarded with the request for workers; with file_type fake the length of each slice's simulated processing"`

	Mode             string        `toml:"mode" default:"stf" help:"what is sliced: stf, the whole STF, or samples"`
	STFSamplingRate  float64       `toml:"stf_sampling_rate" default:"1" zero:"true" help:"share of the STFs that are sliced, 0 to 1"`
	SlicesPerSample  int           `toml:"slices_per_sample" default:"15" help:"slices of an STF in mode stf"`
	NumTFPerSlice    int           `toml:"num_tf_per_slice" default:"2" help:"frames of a slice in mode samples"`
	TFFilesPerSTF    int           `toml:"tf_files_per_stf" default:"7" zero:"true" help:"time-frame samples registered per STF"`
	TFSampleFraction float64       `toml:"tf_sample_fraction" default:"0.15" zero:"true" help:"mean share of its partition that a sample takes"`
	TFSampleSpread   float64       `toml:"tf_sample_spread" default:"0.1" zero:"true" help:"relative spread of that share"`
	Payload          string        `toml:"payload" help:"payload that the slices ask for; the worker's own when empty"`
	FileType         string        `toml:"file_type" help:"fake or mock: workers only pretend to process"`
	SliceLifetime    time.Duration `toml:"slice_lifetime" default:"12h" zero:"true" help:"time after which the broker may drop a slice; 0 is never"`
}

// Default is the plan with all defaults.
func Default() Plan {
	var p Plan
	config.Defaults(&p)
	return p
}

// The most of everything: beyond it is a slip of the finger, which would be noticed when the disk is full.
const (
	// MaxSTFs is the most STFs in a run, and the greatest sequence number.
	MaxSTFs = 1_000_000
	// MaxTime is the longest of all times.
	MaxTime    = 365 * 24 * time.Hour
	maxFrames  = 1_000_000 // in an STF
	maxWorkers = 100_000
)

// Validate names everything that makes no sense, by its option.
func (p Plan) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		option string
		value  time.Duration
	}{
		{"no-beam-not-ready-delay", p.NoBeamNotReadyDelay},
		{"beam-not-ready-delay", p.BeamNotReadyDelay},
		{"beam-ready-delay", p.BeamReadyDelay},
		{"beam-not-ready-end-delay", p.BeamNotReadyEndDelay},
		{"broadcast-delay", p.BroadcastDelay},
		{"stf-interval", p.STFInterval},
		{"stf-generation-time", p.STFGenerationTime},
		{"physics-period-duration", p.PhysicsPeriodDuration},
		{"standby-duration", p.StandbyDuration},
		{"worker-rampup-time", p.WorkerRampupTime},
		{"worker-rampdown-time", p.WorkerRampdownTime},
		{"slice-processing-time", p.SliceProcessingTime},
		{"slice-lifetime", p.SliceLifetime},
	} {
		if d.value < 0 || d.value > MaxTime {
			bad("--%s %s: must be 0 to %s", d.option, d.value, MaxTime)
		}
	}
	for _, n := range []struct {
		option         string
		value, low, up int
	}{
		{"physics-period-count", p.PhysicsPeriodCount, 0, MaxSTFs},
		{"stf-count", p.STFCount, 0, MaxSTFs},
		{"frames", p.Frames, 1, maxFrames},
		{"target-worker-count", p.TargetWorkerCount, 1, maxWorkers},
		{"slices-per-sample", p.SlicesPerSample, 1, maxFrames},
		{"num-tf-per-slice", p.NumTFPerSlice, 1, maxFrames},
		{"tf-files-per-stf", p.TFFilesPerSTF, 0, maxFrames},
	} {
		if n.value < n.low || n.value > n.up {
			bad("--%s %d: must be %d to %d", n.option, n.value, n.low, n.up)
		}
	}
	if p.SlicesPerSample > p.Frames {
		bad("--slices-per-sample %d: more than the %d frames of an STF", p.SlicesPerSample, p.Frames)
	}
	if p.TFFilesPerSTF > p.Frames {
		bad("--tf-files-per-stf %d: more than the %d frames of an STF", p.TFFilesPerSTF, p.Frames)
	}
	if needsRoom := p.STFCount == 0 || p.PhysicsPeriodCount == 0; needsRoom && p.periodRoom() == 0 {
		bad("--stf-interval %s: no STF fits into a --physics-period-duration of %s", p.STFInterval, p.PhysicsPeriodDuration)
	}
	for _, f := range []struct {
		option         string
		value, lo, top float64
	}{
		{"stf-sampling-rate", p.STFSamplingRate, 0, 1},
		{"tf-sample-fraction", p.TFSampleFraction, 0, 1},
		{"tf-sample-spread", p.TFSampleSpread, 0, 10},
	} {
		if !(f.value >= f.lo && f.value <= f.top) { // NaN too
			bad("--%s %g: must be %g to %g", f.option, f.value, f.lo, f.top)
		}
	}
	switch Mode(p.Mode) {
	case ModeSTF:
	case ModeSamples:
		if p.TFFilesPerSTF == 0 {
			bad("--tf-files-per-stf 0: mode samples has nothing to slice")
		}
	default:
		bad("--mode %q: must be stf or samples", p.Mode)
	}
	if p.FileType != "" && p.FileType != "fake" && p.FileType != "mock" {
		bad("--file-type %q: must be fake, mock or empty", p.FileType)
	}
	if p.Namespace == "" {
		bad("--namespace is empty")
	}
	if strings.ContainsFunc(p.Run, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) {
		bad("--run %q: letters, digits, - and _ only, because files are named after it", p.Run)
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// Difference names the keys in which two plans differ, each with its value in p and in other; it is empty when they are the same.
func (p Plan) Difference(other Plan) string {
	var keys []string
	was, is := reflect.ValueOf(p), reflect.ValueOf(other)
	for i := range was.NumField() {
		if a, b := was.Field(i).Interface(), is.Field(i).Interface(); a != b {
			keys = append(keys, fmt.Sprintf("%s was %v, is %v", was.Type().Field(i).Tag.Get("toml"), a, b))
		}
	}
	return strings.Join(keys, ", ")
}

// periodRoom is how many STFs fit into a physics period.
func (p Plan) periodRoom() int {
	if p.STFInterval <= 0 {
		return 0
	}
	return int(p.PhysicsPeriodDuration / p.STFInterval)
}

// periodSTFs is how many STFs period i (from 0) has when taken have been taken before it.
func (p Plan) periodSTFs(i, taken int) int {
	switch {
	case p.STFCount == 0:
		return p.periodRoom()
	case p.PhysicsPeriodCount == 0:
		return min(p.periodRoom(), p.STFCount-taken)
	default:
		return p.STFCount*(i+1)/p.PhysicsPeriodCount - taken
	}
}
