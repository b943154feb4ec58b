package wrappercmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/program"
	"tfpilot/wrapper"
	"tfpilot/wrapper/trial"
)

// repeat runs the slice many times, and reports what one run does not show.
func repeat(c *cli.Context, cfg runConfig, s message.Slice, times trial.Config) error {
	if times.Repeat < 1 || times.Slots < 1 {
		return exitcode.New(exitcode.Usage, "--repeat %d, --slots %d: both are at least 1", times.Repeat, times.Slots)
	}
	if cfg.Work.Keep {
		return exitcode.New(exitcode.Usage, "--keep leaves the folder of one slice: it does not go with --repeat")
	}
	// A folder of its own shows what is left behind; logs go where they always do.
	if cfg.Work.LogDir == "" {
		cfg.Work.LogDir = payloadlog.DefaultDir(cfg.Work.WorkDir)
	}
	if cfg.Work.WorkDir != "" {
		if err := os.MkdirAll(cfg.Work.WorkDir, 0o755); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
		}
	}
	work, err := os.MkdirTemp(cfg.Work.WorkDir, "tfpilot-repeat-")
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	cfg.Work.WorkDir = work
	w, err := newWrapper(cfg)
	if err != nil {
		return err
	}
	watched := []string{work}
	if dir := filepath.Dir(cfg.Payload); strings.HasSuffix(cfg.Payload, ".toml") {
		watched = append(watched, dir)
	}
	before := trial.Files(watched...)

	show := program.NewProgress(c.App.ErrWriter, time.Now())
	done, failed := 0, 0
	summary, err := trial.Run(c.Context, w, s, times, func(o wrapper.Outcome) {
		if done++; o.Err != nil {
			failed++
		}
		show.Show(time.Now(), fmt.Sprintf("%s  %d of %d slices, %d failed", program.Bar(done, times.Repeat), done, times.Repeat, failed))
	})
	show.Clear()
	closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context), 10*time.Second)
	defer cancel()
	closed := w.Close(closing)
	if err != nil {
		return errors.Join(err, closed)
	}
	summary.Files = trial.Left(before, trial.Files(watched...))
	if err := showSummary(c, summary); err != nil {
		return errors.Join(err, closed)
	}
	if context.Cause(c.Context) != nil {
		err := exitcode.New(exitcode.Interrupted, "ended after %d of %d slices: %w", summary.Slices, times.Repeat, context.Cause(c.Context))
		return errors.Join(err, closed)
	}
	if n := summary.Failed(); n > 0 {
		err = program.Quiet(exitcode.New(exitcode.SliceFailed, "%d of %d slices failed", n, summary.Slices))
	}
	return errors.Join(err, closed)
}

// showSummary writes it in the format of --output; quiet is the number of slices that are not done.
func showSummary(c *cli.Context, s trial.Summary) error {
	if c.String("output") == "table" {
		return s.Text(c.App.Writer)
	}
	return program.Print(c, s, program.Table{Rows: [][]string{{fmt.Sprint(s.Failed())}}})
}
