package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// collectLimit bounds the questions for the report.
const collectLimit = 10 * time.Second

// watch follows the run until it is closed and its pilots have left.
func watch(ctx context.Context, chain *Chain, cfg DemoConfig, show *program.Progress) error {
	stack, client := chain.Stack, chain.Client()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	looked := time.Now()
	daqEnd := stack.Ended("daq")
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stack.Ended("broker"):
			return stack.Failure("broker")
		case <-stack.Ended("idds"):
			return stack.Failure("idds")
		case <-stack.Ended("harvester"):
			return stack.Failure("harvester")
		case <-daqEnd:
			// What became of the slices is for the report to say.
			res, err := stack.Result("daq")
			if f, known := exitcode.ByCode(res.ExitCode); err != nil || !known || (f != exitcode.OK && f != exitcode.SliceFailed && f != exitcode.CheckFailed) {
				return stack.Failure("daq")
			}
			show.Note(time.Now(), "the run has ended; waiting for its last results")
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
		if len(workers) == 0 && time.Since(looked) > time.Second {
			looked = time.Now()
			if err := chain.pilotsThatCannotStart(ctx); err != nil {
				return err
			}
		}
		show.Show(time.Now(), howFar(len(stfFiles(stack)), cfg.STFs, run, alive))
		if run.State == document.RunClosed && alive == 0 {
			show.Note(time.Now(), "run %s is closed, all pilots have left", demoRun)
			return nil
		}
	}
}

// howFar is one line about a run.
func howFar(taken, planned int, run document.Run, pilots int) string {
	s := run.Slices
	return fmt.Sprintf("STFs %d/%d  slices %d: done %d, failed %d, to do %d  %s  pilots %d  events %d",
		taken, planned, s.Published, s.Done, s.Failed, s.Outstanding, program.Bar(s.Done+s.Failed, max(1, s.Published)), pilots, run.Counts["events"])
}

// collect asks for everything that the report needs.
func collect(ctx context.Context, chain *Chain, took time.Duration) (Report, error) {
	// Also when the run's own time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), collectLimit)
	defer cancel()
	client := chain.Client()
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
	failed, err := client.Failed(ctx, demoRun)
	if err != nil {
		return Report{}, err
	}
	report := NewReport(check, len(stfFiles(chain.Stack)), workers, histograms, took)
	report.Failures = failures(failed)
	return report, nil
}

// tooMany pilots that ended without a word to idds mean that none will ever start.
const tooMany = 3

// pilotsThatCannotStart is why pilots end before they can report to idds, nil as long as there is hope. The harvester knows,
// and its log of the last one tells.
func (c *Chain) pilotsThatCannotStart(ctx context.Context) error {
	stdout := proc.NewCapture(1<<20, 0)
	res, err := proc.Run(ctx, proc.Command{
		Path: filepath.Join(c.bin, "harvester"), Args: []string{"workers", "--state", c.Path("harvester"), "--output", "json"},
		Dir: c.Path(), Env: baseEnv(), Stdout: stdout, Stderr: io.Discard, Grace: time.Second,
	})
	if err != nil || res.ExitCode != 0 {
		return err // it has not opened its store yet
	}
	var workers []harvester.Worker
	if err := json.Unmarshal([]byte(stdout.String()), &workers); err != nil {
		return fmt.Errorf("reading the harvester's workers: %w", err)
	}
	workers = slices.DeleteFunc(workers, func(w harvester.Worker) bool { return w.State.Live() })
	if len(workers) < tooMany {
		return nil
	}
	last := workers[0]
	log := c.Path("harvester", "jobs", last.BatchID, "pilot.log")
	return exitcode.WithNext(exitcode.New(exitcode.CheckFailed, "no pilot can start: %d have ended, the last with status %d: %s",
		len(workers), last.ExitCode, lastLine(log)), "all of its log is "+log)
}

// stfFiles are the files that daq has finished.
func stfFiles(stack *Stack) []string {
	files, err := filepath.Glob(stack.Path("data", "*.stf"))
	if err != nil {
		return nil // a bad pattern, which it is not
	}
	return files
}
