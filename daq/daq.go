package daq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/runplan"
)

// Config is where and how fast a plan is carried out.
type Config struct {
	runplan.Plan
	// Data is where STF files are written.
	Data string `toml:"data" default:"data" help:"folder for the STF files"`
	// InputPrefix empty makes paths that a worker on the same file system can open.
	InputPrefix string `toml:"input_prefix" help:"what stands before the file's name in slices, such as root://host//data/; the data folder when empty, nothing when -"`
	NoFiles     bool   `toml:"no_files" help:"announce STFs without writing files; for workers that only pretend"`
	// TimeScale 0 waits for nothing.
	TimeScale float64 `toml:"time_scale" default:"1" zero:"true" help:"length of a second of the plan; 0.1 is ten times faster than real time, 0 waits for nothing"`
	Fast      bool    `toml:"fast" help:"as fast as possible: the same as time_scale 0"`
	// WaitResults 0 leaves when the last slice is published.
	WaitResults time.Duration `toml:"wait_results" default:"30m" zero:"true" help:"time after end_run to wait for the results of all slices; 0 does not wait"`
	Patience    time.Duration `toml:"patience" default:"5m" help:"time to keep trying when the broker is away or refuses"`
	// StopTime bounds what is done after a signal: the rest of the STF under way, and end_run.
	StopTime time.Duration `toml:"stop_time" default:"5s" help:"time that a signal leaves to finish the STF under way and to end the run"`
	// KeepOpen leaves the run to be gone on with.
	KeepOpen bool `toml:"keep_open" help:"on a signal do not end the run: the next start goes on with it"`
	// Logger gets what happens; nobody when nil.
	Logger *slog.Logger `toml:"-"`
}

// DefaultConfig has all defaults.
func DefaultConfig() Config {
	var c Config
	config.Defaults(&c)
	return c
}

// Report is a run in numbers.
type Report struct {
	RunID string `json:"run_id"`
	Counts
	Seconds float64 `json:"seconds"`
}

// DAQ takes one run.
type DAQ struct {
	cfg      Config
	log      *slog.Logger
	src      Source
	journal  Journal
	books    *Books
	producer *producer

	steps     int                  // over, from the journal
	stfs      map[int]*runplan.STF // complete, from the journal
	announced int
	ended     bool
}

// New makes a DAQ on the journal of its run, which may hold a part of it already. The configuration's plan must be the one
// that the journal began with.
func New(pub Publisher, src Source, journal Journal, cfg Config) (*DAQ, error) {
	cfg.Run = journal.Run()
	if cfg.ExecutionID == "" {
		cfg.ExecutionID = fmt.Sprintf("stf_datataking-%s-%s", cfg.Sender, cfg.Run)
	}
	if cfg.Fast {
		cfg.TimeScale = 0
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var err error
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return nil, exitcode.Wrap(exitcode.Usage, err)
	}
	log := cfg.Logger
	if log == nil {
		log = logging.Discard()
	}
	log = log.With(slog.String(logging.KeyRun, cfg.Run))
	d := &DAQ{
		cfg: cfg, log: log, src: src, journal: journal, books: NewBooks(cfg.Run), stfs: map[int]*runplan.STF{},
		producer: &producer{pub: pub, log: log, plan: cfg.Plan, patience: cfg.Patience, now: time.Now},
	}
	d.producer.url = "file://" + cfg.Data + "/"
	switch cfg.InputPrefix {
	case "":
		d.producer.input = cfg.Data + "/"
	case "-":
	default:
		d.producer.input, d.producer.url = cfg.InputPrefix, cfg.InputPrefix
	}
	if err := d.replay(); err != nil {
		return nil, err
	}
	return d, nil
}

// Validate names everything that makes no sense.
func (c Config) Validate() error {
	errs := []error{c.Plan.Validate()}
	if !(c.TimeScale >= 0 && c.TimeScale <= 1000) { // NaN too
		errs = append(errs, fmt.Errorf("--time-scale %g: must be 0 to 1000", c.TimeScale))
	}
	for _, d := range []struct {
		option     string
		value, low time.Duration
	}{{"wait-results", c.WaitResults, 0}, {"stop-time", c.StopTime, 0}, {"patience", c.Patience, 1}} {
		if d.value < d.low || d.value > runplan.MaxTime {
			errs = append(errs, fmt.Errorf("--%s %s: must be %s to %s", d.option, d.value, d.low, runplan.MaxTime))
		}
	}
	if c.NoFiles && c.FileType == "" {
		errs = append(errs, errors.New("--no-files: workers would look for the files; add --file-type fake"))
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// replay takes over what the journal remembers, or begins it.
func (d *DAQ) replay() error {
	records := d.journal.Records()
	if len(records) == 0 {
		return d.journal.Append(Record{Plan: &d.cfg.Plan})
	}
	for _, r := range records {
		switch {
		case r.Plan != nil && *r.Plan != d.cfg.Plan:
			return exitcode.New(exitcode.Usage, "run %s was begun with another plan (%s); give the same options, or another --run",
				d.cfg.Run, r.Plan.Difference(d.cfg.Plan))
		case r.Step != nil:
			d.steps = *r.Step + 1
		case r.STF != nil:
			d.stfs[r.STF.Sequence] = r.STF
			d.books.Expect(*r.STF, d.cfg.Slices(*r.STF))
		case r.Announced > 0:
			d.announced = r.Announced
		case r.Published != "":
			d.books.Published(r.Published)
		case r.Result != nil:
			d.books.Enter(*r.Result)
		case r.Ended != nil:
			d.ended = true
		}
	}
	return nil
}

// Run takes the run to its end, or on from where it was, and then waits for its results. Inbox may be nil: then no books
// are kept. The report is valid whatever the error says.
func (d *DAQ) Run(ctx context.Context, inbox Inbox) (Report, error) {
	started := time.Now()
	if !d.cfg.NoFiles {
		if err := prepareFolder(d.cfg.Data); err != nil {
			return d.report(started), err
		}
	}
	if d.ended {
		d.log.InfoContext(ctx, "run was taken before; looking for its results only")
	} else if d.steps > 0 {
		d.log.InfoContext(ctx, "going on with the run", slog.Int("step", d.steps), slog.Int("stfs", len(d.stfs)))
	}
	g, gctx := errgroup.WithContext(ctx)
	// The helpers end when the main line has: by its error, or by this.
	helpers, release := context.WithCancel(gctx)
	files := make(chan runplan.STF)
	from := d.steps
	if !d.ended {
		g.Go(func() error { return d.writeFiles(helpers, from, files) })
	}
	if inbox != nil {
		g.Go(func() error { return d.readResults(helpers, inbox) })
	}
	g.Go(func() error {
		defer release()
		if err := d.takeSteps(gctx, ctx, files); err != nil {
			return err
		}
		if inbox == nil {
			return nil
		}
		return d.awaitResults(gctx)
	})
	err := g.Wait()
	r := d.report(started)
	if err == nil && inbox != nil && d.cfg.WaitResults > 0 {
		err = r.Verdict()
	}
	return r, err
}

func (d *DAQ) report(started time.Time) Report {
	c, _ := d.books.Counts()
	return Report{RunID: d.cfg.Run, Counts: c, Seconds: time.Since(started).Seconds()}
}

// prepareFolder makes the data folder and proves that it can be written, before a run is announced.
func prepareFolder(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".probe-"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "writing to the data folder %s: %w", dir, err)
	}
	return nil
}
