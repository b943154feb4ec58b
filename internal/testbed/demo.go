package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/program"
	"tfpilot/payload"
)

// DemoConfig says what the demo does. The zero value is the default demo.
type DemoConfig struct {
	Out         string        `toml:"out" default:"demo-out" help:"folder for the report and all state; a former demo's is replaced"`
	STFs        int           `toml:"stfs" default:"3" help:"Super Time Frames to take"`
	Frames      int           `toml:"frames" default:"1000" help:"time frames per STF"`
	Slices      int           `toml:"slices" default:"15" help:"slices per STF"`
	Pilots      int           `toml:"pilots" default:"2" help:"pilots that the run asks for"`
	Slots       int           `toml:"slots" default:"1" help:"payloads at once in each pilot"`
	Payload     string        `toml:"payload" default:"tfreco" help:"tfreco, synthetic, acts, or a payload's TOML file"`
	Replay      string        `toml:"replay" help:"replay the simulated events of this ROOT file as detector input; none: the built-in simulation, or for acts its own"`
	STFInterval time.Duration `toml:"stf_interval" default:"500ms" help:"time between two STFs, when the machine keeps up"`
	Seed        uint64        `toml:"seed" default:"1" help:"seed of the simulated detector"`
	Keep        bool          `toml:"keep" help:"leave broker, idds with its page, and harvester up after the run, until Ctrl-C"`
	Limit       time.Duration `toml:"limit" default:"10m" help:"stop a run that is not over after this time, and report what there is"`
	// Show shows the report as soon as there is one; nobody when nil.
	Show func(Report) error `toml:"-"`
}

// The names under which the demo works.
const (
	demoNamespace = "demo"
	demoRun       = "100001"
	marker        = ".tfpilot-demo"
)

// Validate names every value that makes no sense, or that no single machine can do.
func (c DemoConfig) Validate() error {
	var errs []error
	for _, n := range []struct {
		name       string
		value, max int
	}{{"stfs", c.STFs, 10_000}, {"frames", c.Frames, 100_000}, {"slices", c.Slices, 100_000}, {"pilots", c.Pilots, 500}, {"slots", c.Slots, 1000}} {
		if n.value < 1 || n.value > n.max {
			errs = append(errs, fmt.Errorf("--%s %d: must be from 1 to %d", n.name, n.value, n.max))
		}
	}
	if c.Slices > c.Frames {
		errs = append(errs, fmt.Errorf("--slices %d: more than the %d frames of an STF", c.Slices, c.Frames))
	}
	if c.STFInterval < 0 || c.Limit < 0 {
		errs = append(errs, errors.New("--stf-interval and --limit: must not be negative"))
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// Demo runs the whole chain on this machine with the programs in the folder bin and returns the report, which it has also
// written into cfg.Out: of a run that did not come to its end, too, unless it was interrupted or idds is gone. Progress goes
// to out. The error is the report's verdict, or why the run did not come to its end. With Keep it returns when ctx has
// ended.
func Demo(ctx context.Context, cfg DemoConfig, bin string, out io.Writer) (Report, error) {
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	own, err := cfg.prepare(ctx, bin, program.NewProgress(out, time.Now()))
	if err != nil {
		return Report{}, Cause(ctx, err)
	}
	dir, unlock, err := CleanFolder(cfg.Out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	asLongAsWanted := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Limit, exitcode.WithNext(
		exitcode.New(exitcode.CheckFailed, "the run was not over after %s (--limit)", cfg.Limit), "the logs are in "+filepath.Join(dir, "logs")))
	defer cancel()

	if own != nil && cfg.Replay == "" {
		cfg.Replay = filepath.Join(dir, "events.root")
		if err := own.simulate(ctx, cfg.Replay, cfg.STFs*cfg.Frames, cfg.Seed, program.NewProgress(out, time.Now())); err != nil {
			return Report{}, Cause(ctx, err)
		}
	}
	stack, err := NewStack(dir, bin)
	if err != nil {
		return Report{}, err
	}
	defer stack.StopAll()
	show := program.NewProgress(out, time.Now())
	chain, err := startDemo(ctx, stack, cfg, show)
	if err == nil {
		err = watch(ctx, chain, cfg, show)
	}
	if err != nil {
		err = Cause(ctx, err)
		// Stopping takes a while: a payload has its grace. Why is said at the end, once.
		show.Note(time.Now(), "stopping everything")
	}
	if chain == nil || exitcode.From(err) == exitcode.Interrupted {
		return Report{}, err
	}
	report, cerr := collect(ctx, chain, time.Since(show.Started))
	if cerr != nil {
		return Report{}, cmp.Or(err, cerr)
	}
	report.Page = chain.IDDS + "/"
	if !cfg.Keep || err != nil {
		stack.StopAll()
	}
	if werr := report.Write(dir); werr != nil {
		return report, werr
	}
	if cfg.Show != nil {
		err = cmp.Or(err, cfg.Show(report))
	}
	if cfg.Keep && err == nil {
		err = keep(asLongAsWanted, chain, filepath.Join(bin, "idds"), show)
	}
	return report, cmp.Or(err, report.Verdict())
}

// keep waits with everything up until ctx ends, or a program does.
func keep(ctx context.Context, c *Chain, idds string, show *program.Progress) error {
	show.Note(time.Now(), "everything is up until Ctrl-C; its page, for a browser: %s/", c.IDDS)
	show.Note(time.Now(), "the same in a terminal: %s top --idds %s --token-file %s", idds, c.IDDS, c.tokens["viewer"].file)
	select {
	case <-ctx.Done():
		return nil
	case <-c.Ended("broker"):
		return c.Failure("broker")
	case <-c.Ended("idds"):
		return c.Failure("idds")
	case <-c.Ended("harvester"):
		return c.Failure("harvester")
	}
}

// prepare finds out what cannot work before anything is started: the payload and the programs. Files become absolute paths,
// because every program works in a folder of its own. The payload acts is made ready and returned, if it is that.
func (c *DemoConfig) prepare(ctx context.Context, bin string, show *program.Progress) (own *acts, err error) {
	if c.Replay != "" {
		if _, err := os.Stat(c.Replay); err != nil {
			return nil, exitcode.WithNext(exitcode.New(exitcode.DataMissing, "looking for what is to be replayed: %w", err), "check the name after --replay")
		}
		if c.Replay, err = filepath.Abs(c.Replay); err != nil {
			return nil, exitcode.Wrap(exitcode.Usage, err)
		}
	}
	if c.Payload == actsName {
		a, err := findACTS(bin)
		if err != nil {
			return nil, err
		}
		if err := a.install(ctx, show); err != nil {
			return nil, err
		}
		own, c.Payload = &a, a.spec()
	}
	spec, err := payloadfile.Load(c.Payload)
	if err != nil {
		return nil, err
	}
	needed := []string{"testbed", "idds", "harvester", "pilot", "daq"}
	switch {
	case len(spec.Command) > 0:
		_, err = payload.Program{Spec: spec}.CommandLine(payload.Slot{})
	case spec.Kind == payloadfile.KindTFReco || spec.Kind == payloadfile.KindSynthetic && !spec.InProcess():
		needed = append(needed, "tfpilot-payload")
	}
	if err == nil && spec.Dir != "" {
		c.Payload, err = filepath.Abs(c.Payload)
	}
	if err != nil {
		return nil, err
	}
	return own, NeedPrograms(bin, needed...)
}

// NeedPrograms is the error of a program that is not in the folder bin, nil when all are there.
func NeedPrograms(bin string, names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(filepath.Join(bin, name)); err != nil {
			return missing(name, bin)
		}
	}
	return nil
}

// missing says how to get a program.
func missing(name, bin string) error {
	return exitcode.WithNext(exitcode.New(exitcode.SiteNoProgram, "there is no program %s in %s", name, bin), "`make build` puts all of them there")
}

// samples is how many daq takes of an STF when it is not told otherwise: more than a very small one has frames.
const samples = 7

// startDemo starts everything.
func startDemo(ctx context.Context, stack *Stack, cfg DemoConfig, show *program.Progress) (*Chain, error) {
	c, err := NewChain(ctx, stack, demoNamespace)
	if err != nil {
		return nil, err
	}
	show.Note(time.Now(), "broker on %s", c.Broker)
	// The page is on the loopback interface, and opens without a token.
	if err := c.StartIDDS(ctx, "--public-page", "--demand-max-run", strconv.Itoa(cfg.Pilots)); err != nil {
		return nil, err // without idds there is nobody who could report
	}
	show.Note(time.Now(), "idds started; its page, for a browser, while it runs: %s/", c.IDDS)
	if err := c.StartHarvester(ctx, "--pilot-payload", cfg.Payload, "--pilot-slots", strconv.Itoa(cfg.Slots)); err != nil {
		return c, err
	}
	daq := []string{
		"--stf-count", strconv.Itoa(cfg.STFs), "--frames", strconv.Itoa(cfg.Frames),
		"--slices-per-sample", strconv.Itoa(cfg.Slices), "--target-worker-count", strconv.Itoa(cfg.Pilots),
		"--stf-interval", cfg.STFInterval.String(), "--seed", strconv.FormatUint(cfg.Seed, 10),
	}
	if cfg.Frames < samples {
		daq = append(daq, "--tf-files-per-stf", strconv.Itoa(cfg.Frames))
	}
	if cfg.Replay != "" {
		daq = append(daq, "--replay", cfg.Replay)
	}
	if err := c.StartDAQ(ctx, demoRun, daq...); err != nil {
		return c, err
	}
	show.Note(time.Now(), "harvester and daq started; run %s: %d STFs of %d frames, %d slices each, %d pilots x %d slots, payload %s",
		demoRun, cfg.STFs, cfg.Frames, cfg.Slices, cfg.Pilots, cfg.Slots, cfg.Payload)
	return c, nil
}

// Cause prefers the reason why a context ended to the error that its end led to.
func Cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return exitcode.WithNext(exitcode.Wrap(exitcode.Interrupted, cause), "")
		}
		return cause
	}
	return err
}
