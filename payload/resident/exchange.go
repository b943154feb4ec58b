package resident

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// lostError says that a slice was lost with its process, which says little about the slice: the fault may have been of one before.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// work has the process work on a slice. Usage is filled in either case.
func (p *process) work(ctx context.Context, r payload.Request) (payload.Result, error) {
	stderr := proc.NewCapture(kept, kept)
	to := io.Writer(stderr)
	if r.Log.Stderr != nil {
		to = io.MultiWriter(stderr, r.Log.Stderr)
	}
	p.printed.Turn(to)
	began := time.Now()
	answer, ran, err := p.exchange(ctx, r)
	wall := time.Since(began)
	lap := p.meter.Lap()
	var died keeper.Result
	var result payload.Result
	switch {
	case errors.Is(err, errSilent):
		died, err = p.diedWorking(stderr)
	case err != nil:
		p.kill(err)
	default:
		lap.Processes = max(lap.Processes, 1)
		died.LeftBehind = p.program.Sweep()
		p.printed.Turn(p.idle)
		if result, err = p.outcome(ctx, r, answer, p.spec.Timeout-ran); err != nil {
			p.fails(r)
		}
	}
	p.slices++
	result.Usage = payload.Usage{
		Wall: wall, User: lap.User, System: lap.System, PeakBytes: lap.PeakBytes, Processes: lap.Processes,
		ReadBytes: lap.ReadBytes, WrittenBytes: lap.WrittenBytes,
		ExitCode: died.ExitCode, Signal: died.Signal, LeftBehind: died.LeftBehind, Stderr: stderr.String(),
	}
	return result, err
}

// exchange sends the request and waits for the answer; ran is how long that took, as far as the process could run.
func (p *process) exchange(ctx context.Context, r payload.Request) (answer line, ran time.Duration, err error) {
	text, err := encode(r)
	if err != nil {
		return line{}, 0, exitcode.New(exitcode.DataInvalid, "encoding the slice: %w", err)
	}
	answers, stop := p.ask()
	defer stop()
	c := newClock(p.spec.Timeout)
	defer c.stop()
	go func() { _, _ = p.stdin.Write(text) }() // that nobody reads it shows by nobody answering
	guard := p.spec.Guard(r.Dir, &p.meter)
	for {
		select {
		case s := <-answers:
			switch {
			case s.err != nil:
				return line{}, c.ran, exitcode.New(exitcode.PayloadBadResult, "%s answered %w; stdout is for the protocol, all else belongs on stderr", p.spec.Name, s.err)
			case s.line.Alive:
				c.heard()
				continue
			case s.line.Status == nil:
				return line{}, c.ran, exitcode.New(exitcode.PayloadBadResult, "%s answered without a status", p.spec.Name)
			case s.line.ReqID == nil || *s.line.ReqID != r.Slice.Content.Identity():
				return line{}, c.ran, lostError{exitcode.New(exitcode.PayloadBadResult, "%s answered for another slice, %s", p.spec.Name, named(s.line.ReqID))}
			}
			c.tick(0, 0)
			return s.line, c.ran, nil
		case <-p.silent:
			return line{}, c.ran, errSilent
		case <-ctx.Done():
			return line{}, c.ran, p.spec.Stopped(context.Cause(ctx), 0)
		case <-c.timer.C:
			late, mute := c.tick(p.spec.Timeout, p.spec.Resident.Keepalive)
			switch {
			case late:
				return line{}, c.ran, p.spec.Stopped(keeper.ErrTime, 0)
			case mute:
				return line{}, c.ran, exitcode.New(exitcode.PayloadTimeout, "%s said nothing for %s (keepalive)", p.spec.Name, p.spec.Resident.Keepalive)
			}
			if err := guard.Check(); err != nil {
				return line{}, c.ran, p.spec.Stopped(err, 0)
			}
		}
	}
}

// named is the identity in an answer, for people.
func named(id *string) string {
	if id == nil {
		return "which it does not name (req_id)"
	}
	return quote([]byte(*id))
}

// outcome is what an answer means.
func (p *process) outcome(ctx context.Context, r payload.Request, answer line, within time.Duration) (payload.Result, error) {
	switch {
	case answer.Failure != nil:
		return payload.Result{}, answer.Failure.Err(p.spec.Name)
	case *answer.Status != 0:
		return payload.Result{}, p.spec.StatusError(*answer.Status, answer.Message)
	case len(answer.Result) == 0:
		return payload.Result{}, exitcode.New(exitcode.PayloadNoResult, "%s answered with status 0 and no result", p.spec.Name)
	}
	return p.spec.Result(ctx, answer.Result, r, within)
}

// fails notes that a slice failed here. Should it come again it gets a fresh process: nothing that this one may still say of it
// is taken for the answer, and whatever it has left in this one does not matter.
func (p *process) fails(r payload.Request) { p.failed[r.Slice.Content.Identity()] = true }

// diedWorking is what it means that a process ended while it worked on a slice.
func (p *process) diedWorking(stderr *proc.Capture) (keeper.Result, error) {
	res, err := p.death()
	if err != nil {
		return res, lostError{err}
	}
	words := payload.LastWords(stderr.String())
	switch {
	case errors.Is(res.Stopped, keeper.ErrMemory) || res.OutOfMemory || res.SlotOutOfMemory:
		if err := p.spec.Verdict(res, stderr.String()); p.slices == 0 {
			return res, err // nobody else took it
		}
		return res, lostError{p.spec.Verdict(res, stderr.String())}
	case errors.Is(res.Stopped, errClosed):
		return res, lostError{exitcode.New(exitcode.PayloadNoResult, "%s closed its stdout while it worked on the slice%s", p.spec.Name, words)}
	case res.Stopped != nil:
		return res, lostError{p.spec.Stopped(res.Stopped, res.PeakBytes)}
	case res.Signal != "":
		err := p.spec.Verdict(res, stderr.String())
		if fromOutside(res.Signal) {
			return res, err // of the slot, it may be: the pilot will know
		}
		return res, lostError{err}
	}
	if err := p.spec.Verdict(res, stderr.String()); err != nil && exitcode.From(err) != exitcode.PayloadFailed {
		return res, err // it says itself what is wrong
	}
	return res, lostError{exitcode.New(exitcode.PayloadCrashed, "%s ended with status %d while it worked on the slice%s", p.spec.Name, res.ExitCode, words)}
}

// fromOutside says that a signal is one that batch systems send to all processes of a job.
func fromOutside(signal string) bool {
	switch signal {
	case syscall.SIGTERM.String(), syscall.SIGINT.String(), syscall.SIGHUP.String(), syscall.SIGUSR1.String(), syscall.SIGUSR2.String():
		return true
	default:
		return false
	}
}
