package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/rest"
)

// DemoConfig says what the demo does. The zero value is the default demo.
type DemoConfig struct {
	Out         string        `toml:"out" default:"demo-out" help:"folder for the report and all state; a former demo's is replaced"`
	STFs        int           `toml:"stfs" default:"3" help:"Super Time Frames to take"`
	Frames      int           `toml:"frames" default:"1000" help:"time frames per STF"`
	Slices      int           `toml:"slices" default:"15" help:"slices per STF"`
	Pilots      int           `toml:"pilots" default:"2" help:"pilots that the run asks for"`
	Slots       int           `toml:"slots" default:"1" help:"payloads at once in each pilot"`
	Payload     string        `toml:"payload" default:"tfreco" help:"tfreco, synthetic, or a payload's TOML file"`
	STFInterval time.Duration `toml:"stf_interval" default:"500ms" help:"time between two STFs, when the machine keeps up"`
	Seed        uint64        `toml:"seed" default:"1" help:"seed of the simulated detector"`
	Limit       time.Duration `toml:"limit" default:"10m" help:"give up when the run is not over after this time"`
}

// The names under which the demo works.
const (
	demoNamespace = "demo"
	demoRun       = "100001"
	marker        = ".tfpilot-demo"
)

// Validate names every value that makes no sense.
func (c DemoConfig) Validate() error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int
	}{{"stfs", c.STFs}, {"frames", c.Frames}, {"slices", c.Slices}, {"pilots", c.Pilots}, {"slots", c.Slots}} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("--%s %d: must be at least 1", n.name, n.value))
		}
	}
	if c.Slices > c.Frames {
		errs = append(errs, fmt.Errorf("--slices %d: more than the %d frames of an STF", c.Slices, c.Frames))
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// Demo runs the whole chain on this machine with the programs in the folder bin and returns the report, which it has also
// written into cfg.Out. Progress goes to out. The error is the report's verdict, or why there is no report.
func Demo(ctx context.Context, cfg DemoConfig, bin string, out io.Writer) (Report, error) {
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	dir, unlock, err := cleanFolder(cfg.Out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Limit,
		exitcode.New(exitcode.CheckFailed, "the run was not over after %s; see %s", cfg.Limit, filepath.Join(dir, "logs")))
	defer cancel()

	stack, err := NewStack(dir, bin)
	if err != nil {
		return Report{}, err
	}
	defer stack.StopAll()
	show := newProgress(out, time.Now())
	chain, err := startDemo(ctx, stack, cfg, show)
	if err != nil {
		return Report{}, causeOf(ctx, err)
	}
	client := chain.Client()
	if err := watch(ctx, stack, cfg, client, show); err != nil {
		return Report{}, causeOf(ctx, err)
	}
	report, err := collect(ctx, stack, client, time.Since(show.started))
	if err != nil {
		return Report{}, causeOf(ctx, err)
	}
	stack.StopAll()
	if err := report.Write(dir); err != nil {
		return report, err
	}
	return report, report.Verdict()
}

// startDemo starts everything.
func startDemo(ctx context.Context, stack *Stack, cfg DemoConfig, show *progress) (*Chain, error) {
	c, err := NewChain(ctx, stack, demoNamespace)
	if err != nil {
		return nil, err
	}
	show.note(time.Now(), "broker on %s", c.Broker)
	if err := c.StartIDDS(ctx); err != nil {
		return nil, err
	}
	show.note(time.Now(), "idds on %s", c.IDDS)
	if err := c.StartHarvester(ctx, "--pilot-payload", cfg.Payload, "--pilot-slots", strconv.Itoa(cfg.Slots)); err != nil {
		return nil, err
	}
	if err := c.StartDAQ(ctx, demoRun, "--stf-count", strconv.Itoa(cfg.STFs), "--frames", strconv.Itoa(cfg.Frames),
		"--slices-per-sample", strconv.Itoa(cfg.Slices), "--target-worker-count", strconv.Itoa(cfg.Pilots),
		"--stf-interval", cfg.STFInterval.String(), "--seed", strconv.FormatUint(cfg.Seed, 10)); err != nil {
		return nil, err
	}
	show.note(time.Now(), "harvester and daq started; run %s: %d STFs of %d frames, %d slices each, %d pilots x %d slots, payload %s",
		demoRun, cfg.STFs, cfg.Frames, cfg.Slices, cfg.Pilots, cfg.Slots, cfg.Payload)
	return c, nil
}

// causeOf prefers the reason why a context ended to the error that its end led to.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return exitcode.Wrap(exitcode.Interrupted, cause)
		}
		return cause
	}
	return err
}

// cleanFolder makes dir an empty folder of ours. A folder that holds anything but a former demo is left alone, and so is one
// in which a demo is running.
func cleanFolder(dir string) (abs string, unlock func(), err error) {
	if abs, err = filepath.Abs(dir); err != nil {
		return "", nil, exitcode.Wrap(exitcode.Usage, err)
	}
	entries, err := os.ReadDir(abs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, exitcode.New(exitcode.StoreFailed, "reading the output folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(abs, marker)); err != nil && len(entries) > 0 {
		return "", nil, exitcode.New(exitcode.Usage, "--out %s holds files that are not a demo's; choose another folder", abs)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", nil, exitcode.New(exitcode.StoreFailed, "making the output folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, marker), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", nil, exitcode.New(exitcode.StoreFailed, "locking the output folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return "", nil, exitcode.New(exitcode.StateLocked, "a demo is running in %s", abs)
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(abs, e.Name())); err != nil {
			_ = lock.Close()
			return "", nil, exitcode.New(exitcode.StoreFailed, "removing the former demo: %w", err)
		}
	}
	return abs, func() { _ = lock.Close() }, nil
}

// watch follows the run until it is closed and its pilots have left.
func watch(ctx context.Context, stack *Stack, cfg DemoConfig, client *Client, show *progress) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	daqEnd := stack.Ended("daq")
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stack.Ended("broker"):
			return stack.failure("broker")
		case <-stack.Ended("idds"):
			return stack.failure("idds")
		case <-stack.Ended("harvester"):
			return stack.failure("harvester")
		case <-daqEnd:
			// What became of the slices is for the report to say.
			res, err := stack.Result("daq")
			if f, known := exitcode.ByCode(res.ExitCode); err != nil || !known || (f != exitcode.OK && f != exitcode.SliceFailed && f != exitcode.CheckFailed) {
				return stack.failure("daq")
			}
			show.note(time.Now(), "the run has ended; waiting for its last results")
			daqEnd = nil
		case <-tick.C:
		}
		run, err := client.Run(ctx, demoRun)
		if unknown, ok := errors.AsType[*rest.StatusError](err); ok && unknown.Code == http.StatusNotFound {
			continue // the run is not announced yet
		}
		if err != nil {
			return err
		}
		workers, err := client.Workers(ctx)
		if err != nil {
			return err
		}
		alive := 0
		for _, w := range workers {
			if w.Alive {
				alive++
			}
		}
		show.show(time.Now(), len(stfFiles(stack)), cfg.STFs, run, alive)
		if run.State == message.RunClosed && alive == 0 {
			show.note(time.Now(), "run %s is closed, all pilots have left", demoRun)
			return nil
		}
	}
}

// collect asks for everything that the report needs.
func collect(ctx context.Context, stack *Stack, client *Client, took time.Duration) (Report, error) {
	check, err := client.Check(ctx, demoRun)
	if err != nil {
		return Report{}, err
	}
	workers, err := client.Workers(ctx)
	if err != nil {
		return Report{}, err
	}
	histograms, err := client.Histograms(ctx, demoRun)
	if err != nil {
		return Report{}, err
	}
	return NewReport(check, len(stfFiles(stack)), workers, histograms, took), nil
}

// stfFiles are the files that daq has finished.
func stfFiles(stack *Stack) []string {
	files, err := filepath.Glob(stack.Path("data", "*.stf"))
	if err != nil {
		return nil // a bad pattern, which it is not
	}
	return files
}
