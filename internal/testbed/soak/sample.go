package soak

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

const (
	// rows are how many a report has; each is of samplesPerRow samples, the last fifth of those that there are time for.
	rows          = 10
	samplesPerRow = 10
	// tick is how often is looked whether a sample is due.
	tick = 20 * time.Millisecond
	// logTail is how much of a log is searched for the last goroutines.
	logTail = 512 << 10
)

// sample takes a row after every tenth of the slices: the mean of what was held just before.
func (s *soak) sample(ctx context.Context) ([]Row, error) {
	if err := s.warmUp(ctx); err != nil {
		return nil, err
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	started := time.Now()
	var out []Row
	var window []Row
	var before Row
	for {
		if err := s.next(ctx, t); err != nil {
			return nil, err
		}
		done := int(s.done.Load())
		now := time.Now()
		rate := float64(done-before.Slices) / max(0.001, now.Sub(started).Seconds()-before.Seconds)
		s.show.Show(now, fmt.Sprintf("%s  %d of %d slices, %.0f per second", program.Bar(done, s.cfg.Slices), done, s.cfg.Slices, rate))
		end := s.cfg.Slices * (len(out) + 1) / rows
		if done >= end-s.cfg.Slices/rows/5 && len(window) < samplesPerRow || done >= end {
			row, err := s.look(done, now.Sub(started).Seconds())
			if err != nil {
				return nil, err
			}
			window = append(window, row)
		}
		if done < end {
			continue
		}
		row := mean(window)
		row.Rate = float64(row.Slices-before.Slices) / (row.Seconds - before.Seconds)
		out, window, before = append(out, row), nil, row
		if len(out) == rows {
			return out, nil
		}
	}
}

// warmUp waits until the first slices are done, and until both programs have said since then how many goroutines they have: what is
// compared with later is what they hold at work, not how far their start had come.
func (s *soak) warmUp(ctx context.Context) error {
	defer close(s.warm)
	t := time.NewTicker(tick)
	defer t.Stop()
	for s.done.Load() < s.first() {
		if err := s.next(ctx, t); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, traceLimit, exitcode.New(exitcode.Internal, "no goroutines in the logs in %s", s.stack.Path("logs")))
	defer cancel()
	for _, name := range []string{"pilot", "broker"} {
		// The trace after the last whole one may have begun before the slices were done, the one after that has not.
		began, traces := "", 0
		for traces < 3 {
			last, err := lastTrace(s.stack.Path("logs", name+".log"))
			if err != nil {
				return err
			}
			if last.began != began {
				began = last.began
				traces++
			}
			if err := s.next(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// next waits for a tick, or says why there will be none.
func (s *soak) next(ctx context.Context, t *time.Ticker) error {
	select {
	case <-t.C:
		return nil
	case <-s.stack.Ended("pilot"):
		return s.stack.Failure("pilot")
	case <-s.stack.Ended("broker"):
		return s.stack.Failure("broker")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look samples once.
func (s *soak) look(done int, seconds float64) (Row, error) {
	r := Row{Slices: done, Seconds: seconds}
	var err error
	if r.Pilot, err = s.process("pilot"); err != nil {
		return r, err
	}
	if r.Broker, err = s.process("broker"); err != nil {
		return r, err
	}
	if r.JournalKB, err = folderKB(s.stack.Path("journal")); err != nil {
		return r, err
	}
	r.BrokerLogKB, err = folderKB(s.stack.Path("broker"))
	return r, err
}

// process says what a program holds.
func (s *soak) process(name string) (Process, error) {
	var p Process
	proc := filepath.Join("/proc", strconv.Itoa(s.stack.PID(name)))
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return p, fmt.Errorf("looking at the %s: %w", name, err)
	}
	p.Descriptors = float64(len(fds))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return p, fmt.Errorf("looking at the %s: %w", name, err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				return p, fmt.Errorf("reading VmRSS of the %s: %w", name, err)
			}
			p.ResidentMB = float64(kb) / 1024
		}
	}
	last, err := lastTrace(s.stack.Path("logs", name+".log"))
	p.Goroutines = float64(last.living)
	return p, err
}

// living is a line of the scheduler's trace about a goroutine that is not dead (status 6).
var living = regexp.MustCompile(`^  G[0-9]+: status=[0-57-9]`)

// traced is what a trace of the scheduler says: when it began, by the line that heads it, and how many goroutines are not dead.
type traced struct {
	began  string
	living int
}

// lastTrace is the last whole trace in a log, the zero one when there is none yet.
func lastTrace(log string) (last traced, err error) {
	f, err := os.Open(log)
	if err != nil {
		return last, exitcode.Wrap(exitcode.StoreFailed, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, err = f.Seek(max(0, end-logTail), io.SeekStart)
		if err != nil {
			return last, exitcode.Wrap(exitcode.StoreFailed, err)
		}
	}
	var reading traced
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, logTail)
	for lines.Scan() {
		switch {
		case bytes.HasPrefix(lines.Bytes(), []byte("SCHED ")):
			if reading.living > 0 {
				last = reading
			}
			reading = traced{began: lines.Text()}
		case reading.began != "" && living.Match(lines.Bytes()):
			reading.living++
		}
	}
	return last, exitcode.Wrap(exitcode.StoreFailed, lines.Err())
}

// folderKB is the size of the files in a folder, 0 when there is none.
func folderKB(dir string) (float64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		size += info.Size()
		return nil
	})
	return float64(size) / 1024, exitcode.Wrap(exitcode.StoreFailed, err)
}

// ignoreGone is for files that come and go while they are counted.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
