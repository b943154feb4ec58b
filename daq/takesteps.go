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

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/pause"
	"tfpilot/internal/runplan"
	"tfpilot/internal/stf"
)

// inFlight is how many slices wait for their receipts at once.
const inFlight = 32

// takeSteps carries out what is left of the plan until ctx ends. When that was a signal, which ends outer too, the STF under
// way is finished and the run is ended, both within the time that a signal leaves.
func (d *DAQ) takeSteps(ctx, outer context.Context, files <-chan runplan.STF) error {
	if d.ended {
		return nil
	}
	// What must not be torn by a signal runs under this: it ends a while after ctx.
	firm, cancel := lateCancel(ctx, d.cfg.StopTime)
	defer cancel()
	at := runplan.Off
	clock := pacer{scale: d.cfg.TimeScale, due: time.Now()}
	var last runplan.Step
	for step := range d.cfg.Steps() {
		// The law is asked of steps that are over, too: it costs nothing, and where we are follows from them.
		if step.Sequence == 0 || at != step.Condition {
			if err := at.To(step.Condition); err != nil {
				return err
			}
			at = step.Condition
		}
		if step.Index >= d.steps {
			err := clock.wait(ctx, step.Tick-last.Tick)
			if err == nil {
				err = d.take(ctx, firm, step, files)
			}
			if outer.Err() != nil && errors.Is(err, context.Cause(outer)) {
				return d.stop(firm, context.Cause(outer), last.Tick)
			}
			if err != nil {
				return err
			}
		}
		last = step
	}
	return nil
}

// stop is what a signal leads to: nobody takes this run any further, so it is ended, with the slices that there are. A run
// that cannot be ended in time, or is not to be, stays open and is gone on with by the next start.
func (d *DAQ) stop(firm context.Context, cause error, tick time.Duration) error {
	switch {
	case d.ended:
		return exitcode.New(exitcode.Interrupted, "run %s has ended, its last results were not awaited: %w", d.cfg.Run, cause)
	case d.steps < stepsBeforeEnd:
		return exitcode.New(exitcode.Interrupted, "run %s was not announced yet: %w", d.cfg.Run, cause)
	case d.cfg.KeepOpen:
		return exitcode.New(exitcode.Interrupted, "run %s stays open, start again to go on with it: %w", d.cfg.Run, cause)
	}
	err := firm.Err()
	if err == nil {
		err = d.endRun(firm, runplan.Step{Condition: runplan.BeamNotReady, Message: message.TypeEndRun, Tick: tick})
	}
	if err != nil {
		return exitcode.New(exitcode.Interrupted, "run %s could not be ended within %s and stays open, start again to go on with it: %w",
			d.cfg.Run, d.cfg.StopTime, cause)
	}
	return exitcode.New(exitcode.Interrupted, "run %s was ended early: %w", d.cfg.Run, cause)
}

// stepsBeforeEnd is how many steps go before there is a run to be ended: no_beam, and run_imminent.
const stepsBeforeEnd = 2

// take carries out one step and notes that it is over.
func (d *DAQ) take(ctx, firm context.Context, step runplan.Step, files <-chan runplan.STF) error {
	switch {
	case step.Sequence > 0:
		s, err := d.receive(ctx, step, files)
		if err != nil {
			return err
		}
		if err := d.process(firm, s, step); err != nil {
			return err
		}
	case step.Message == message.TypeEndRun:
		if err := d.endRun(firm, step); err != nil {
			return err
		}
	case step.Message != "":
		if err := d.producer.run(firm, d.producer.runMessage(step)); err != nil {
			return err
		}
		d.log.InfoContext(ctx, "sent a run message", slog.String("msg_type", step.Message), slog.String("condition", step.Condition.String()))
	default:
		d.log.InfoContext(ctx, "entered a condition", slog.String("condition", step.Condition.String()))
	}
	d.steps = step.Index + 1
	return d.journal.Append(Record{Step: &step.Index})
}

// receive waits for the file of a step and makes it an STF: from here on it exists, whatever happens to us.
func (d *DAQ) receive(ctx context.Context, step runplan.Step, files <-chan runplan.STF) (runplan.STF, error) {
	select {
	case s := <-files:
		if s.Sequence != step.Sequence {
			return runplan.STF{}, fmt.Errorf("STF %d came where %d was due", s.Sequence, step.Sequence)
		}
		if known := d.stfs[s.Sequence]; known != nil && *known == s {
			return s, nil
		}
		if s.CreatedAt.IsZero() {
			s.CreatedAt = d.producer.now().UTC().Truncate(time.Microsecond)
		}
		return s, d.journal.Append(Record{STF: &s})
	case <-ctx.Done():
		return runplan.STF{}, context.Cause(ctx)
	}
}

// process announces an STF and publishes its slices, as far as that has not been done already.
func (d *DAQ) process(ctx context.Context, s runplan.STF, step runplan.Step) error {
	list := d.cfg.Slices(s)
	d.books.Expect(s, list)
	if d.announced < s.Sequence {
		if err := d.producer.announce(ctx, s, step); err != nil {
			return err
		}
		d.announced = s.Sequence
		if err := d.journal.Append(Record{Announced: s.Sequence}); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for _, slice := range list {
		if d.books.IsPublished(slice.ReqID) {
			continue
		}
		g.Go(func() error {
			if err := d.producer.slice(gctx, s, slice); err != nil {
				return err
			}
			d.books.Published(slice.ReqID)
			return d.journal.Append(Record{Published: slice.ReqID})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	d.log.InfoContext(ctx, "took an STF", slog.String("stf", s.Name), slog.Int("slices", len(list)), slog.Int64("size_bytes", s.SizeBytes))
	return nil
}

// endRun announces the end with the number of slices that there are.
func (d *DAQ) endRun(ctx context.Context, step runplan.Step) error {
	c, _ := d.books.Counts()
	m := d.producer.runMessage(step)
	m.TotalSTFFiles, m.TotalSlices = message.NewInt(int64(c.STFs)), message.NewInt(int64(c.Published))
	if err := d.producer.run(ctx, m); err != nil {
		return err
	}
	d.ended = true
	d.log.InfoContext(ctx, "ended the run", slog.Int("stfs", c.STFs), slog.Int("slices", c.Published))
	return d.journal.Append(Record{Ended: &c.Published})
}

// writeFiles makes the STF files of all steps from one on, one ahead of the step that waits for it.
func (d *DAQ) writeFiles(ctx context.Context, from int, files chan<- runplan.STF) error {
	for step := range d.cfg.Steps() {
		if step.Sequence == 0 || step.Index < from {
			continue
		}
		s, err := d.file(ctx, step.Sequence)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case files <- s:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// file is the STF of a sequence: the one that is there already, when the journal knows it and it is whole, or a new one.
func (d *DAQ) file(ctx context.Context, sequence int) (runplan.STF, error) {
	name := runplan.STFName(d.cfg.Run, sequence)
	path := filepath.Join(d.cfg.Data, name)
	known := d.stfs[sequence]
	switch {
	case d.cfg.NoFiles && known != nil:
		return *known, nil
	case d.cfg.NoFiles:
		return runplan.STF{Sequence: sequence, Name: name}, nil
	case known != nil:
		size, sum, err := stf.Checksum(path)
		if err == nil && size == known.SizeBytes && sum == known.Adler32 {
			return *known, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return runplan.STF{}, fmt.Errorf("looking at the file of a former start: %w", err)
		}
		d.log.WarnContext(ctx, "the file of a former start is gone or damaged; making it again", slog.String("stf", name))
	}
	sum, err := Write(ctx, d.src, path, sequence, d.cfg.Frames, nil)
	if err != nil {
		return runplan.STF{}, err
	}
	s := runplan.STF{Sequence: sequence, Name: name, SizeBytes: sum.SizeBytes, Adler32: sum.Adler32}
	if known != nil {
		s.CreatedAt = known.CreatedAt // the slices' identity in time stays
	}
	return s, nil
}

// lateCancel is a context that ends a while after parent.
func lateCancel(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		if pause.For(ctx, grace) == nil {
			cancel(context.Cause(parent))
		}
	})
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// pacer waits for the plan's time: from step to step, without catching up when we are late, because a detector does not take
// two STFs at once either.
type pacer struct {
	scale float64
	due   time.Time
}

func (p *pacer) wait(ctx context.Context, d time.Duration) error {
	p.due = p.due.Add(time.Duration(float64(d) * p.scale))
	left := time.Until(p.due)
	if left <= 0 {
		p.due = time.Now()
		return context.Cause(ctx)
	}
	return pause.For(ctx, left)
}
