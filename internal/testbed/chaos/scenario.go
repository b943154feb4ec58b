package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
	"tfpilot/internal/testbed"
)

// scenario takes one run through one fault.
func (c *chaos) scenario(ctx context.Context, f fault) (Row, error) {
	row := Row{Fault: f.name, What: f.what, Slices: c.cfg.Slices, Gentle: f.gentle}
	c.sent = 0
	foreign := c.watch.Foreign()
	if err := c.startDAQ(ctx); err != nil {
		return row, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.cfg.Limit+time.Duration(f.times)*2*time.Minute, errStuck)
	defer cancel()
	check, err := c.breakAndFollow(limited, f, &row)
	if errors.Is(err, errStuck) && ctx.Err() == nil {
		row.Problems = append(row.Problems, fmt.Sprintf("not over after %s", c.cfg.Limit))
		if check, err = c.chain.Client().Check(ctx, c.run); err != nil {
			return row, err
		}
		c.chain.Stop("daq") // the next run is to have its chance
	}
	if err != nil {
		return row, err
	}
	s := check.Slices
	row.Published, row.Done, row.Failed, row.Absorbed, row.Unexplained = s.Published, s.Done, s.Failed, s.Absorbed, s.Unexplained
	row.Lost = s.Published - s.Done - s.Failed
	row.Problems = append(row.Problems, check.Problems...)
	// Its link may be a little behind that of idds; what it has not seen then, the verdict names.
	late, cancel := context.WithTimeoutCause(ctx, witnessLimit, errNotHeard)
	defer cancel()
	if err := c.watch.AwaitDone(late, c.run, row.Done); err != nil && !errors.Is(err, errNotHeard) {
		return row, err
	}
	v := c.watch.Verdict(c.run)
	row.Witnessed, row.Copies, row.AbsorbedByBroker = v.Slices, v.Copies, v.Absorbed
	if n := c.watch.Foreign() - foreign; n > 0 {
		row.Problems = append(row.Problems, fmt.Sprintf("%d results of others' slices", n))
	}
	done, times, err := c.executions()
	if err != nil {
		return row, err
	}
	row.Again = times - done
	problems, err := c.afterwards(ctx)
	row.Problems = append(row.Problems, problems...)
	return row, err
}

// afterwards is what is wrong when the run is over and its pilots have left.
func (c *chaos) afterwards(ctx context.Context) ([]string, error) {
	problems, err := c.foreignKept(ctx)
	if err != nil {
		return problems, err
	}
	pids, err := gone(ctx, c.work)
	if len(pids) > 0 {
		problems = append(problems, fmt.Sprintf("payloads outlived their pilots: processes %v", pids))
	}
	return problems, err
}

// reasonLimit is for how long idds may not have noticed the fault of which the pilots are gone already.
const reasonLimit = 3 * time.Second

// witnessLimit is for how long results may come to the witness later than to idds.
const witnessLimit = 10 * time.Second

var errStuck = errors.New("stuck")

// breakAndFollow injects the fault at points of the run that the seed chooses, and follows the run to its end.
func (c *chaos) breakAndFollow(ctx context.Context, f fault, row *Row) (document.RunCheck, error) {
	open, stop := c.whileOpen(ctx)
	defer stop()
	for i := range f.times {
		// One point in each of as many equal parts of the first 60 % of the run.
		share := 0.05 + 0.6*(float64(i)+0.8*c.rng.Float64())/float64(f.times)
		if err := c.progressTo(ctx, int(share*float64(c.cfg.Slices))); err != nil {
			return document.RunCheck{}, err
		}
		if open.Err() != nil {
			break
		}
		if err := pause.For(ctx, time.Duration(c.rng.Int64N(int64(100*time.Millisecond)))); err != nil {
			return document.RunCheck{}, err
		}
		during := open
		if f.needs == killing {
			during = ctx // the broker is waited for, whatever becomes of the run
		}
		err := f.inject(c, during)
		if errors.Is(err, errOver) {
			break // the rest would hit nobody
		}
		if err != nil {
			return document.RunCheck{}, fmt.Errorf("injecting %s: %w", f.name, err)
		}
		row.Times++
		mended := time.Now()
		before, _ := c.watch.Seen(c.run)
		if before >= c.cfg.Slices {
			continue
		}
		after, err := c.watch.Await(open, c.run, before+1)
		if errors.Is(err, errOver) {
			break
		}
		if err != nil {
			return document.RunCheck{}, err
		}
		row.Recover = max(row.Recover, after.Sub(mended).Seconds())
	}
	return c.end(ctx)
}

// errOver ends what waits for a run that is over.
var errOver = errors.New("the run is over")

// whileOpen is a context that ends with the present run. stop waits for its goroutine.
func (c *chaos) whileOpen(ctx context.Context) (open context.Context, stop func()) {
	open, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for pause.For(open, 200*time.Millisecond) == nil {
			if run, err := c.chain.Client().Run(open, c.run); err == nil && run.State == document.RunClosed {
				cancel(errOver)
			}
		}
	})
	return open, func() {
		cancel(nil)
		wg.Wait()
	}
}

// progressTo waits until there are n results, as our own eyes or idds' have it.
func (c *chaos) progressTo(ctx context.Context, n int) error {
	for {
		seen, changed := c.watch.Seen(c.run)
		if seen >= n {
			return nil
		}
		run, err := c.chain.Client().Run(ctx, c.run)
		if err == nil {
			c.showRun(run)
		}
		if err == nil && run.Slices.Done+run.Slices.Failed >= n {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end waits until the run is closed and its pilots have left.
func (c *chaos) end(ctx context.Context) (document.RunCheck, error) {
	client := c.chain.Client()
	var since time.Time // all pilots have left
	for {
		if err := c.stillThere(); err != nil {
			return document.RunCheck{}, err
		}
		check, err := client.Check(ctx, c.run)
		unknown, ok := errors.AsType[*rest.StatusError](err)
		if err != nil && (!ok || unknown.Code != http.StatusNotFound) {
			return check, err
		}
		c.showRun(check.Run)
		if err == nil && check.State == document.RunClosed {
			left, err := c.left(ctx, client)
			if left && since.IsZero() {
				since = time.Now()
			}
			if err != nil || left && (check.Slices.Unexplained == 0 || time.Since(since) > reasonLimit) {
				return check, err
			}
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return check, err
		}
	}
}

// showRun says how far the present run is.
func (c *chaos) showRun(r document.Run) {
	final := r.Slices.Done + r.Slices.Failed
	c.show.Show(time.Now(), fmt.Sprintf("%s  %d of %d slices final", program.Bar(final, c.cfg.Slices), final, c.cfg.Slices))
}

// left is true when no pilot of the run is alive.
func (c *chaos) left(ctx context.Context, client *testbed.Client) (bool, error) {
	workers, err := client.Workers(ctx)
	for _, w := range workers {
		if w.Alive && w.RunID == c.run {
			return false, err
		}
	}
	return true, err
}

// stillThere is the error of a program that has ended when nobody killed it.
func (c *chaos) stillThere() error {
	for _, name := range []string{"broker", "idds", "harvester"} {
		if name == "broker" && c.cfg.Broker != "" {
			continue
		}
		select {
		case <-c.chain.Ended(name):
			return c.chain.Failure(name)
		default:
		}
	}
	select {
	case <-c.chain.Ended("daq"):
		res, err := c.chain.Result("daq")
		if f, known := exitcode.ByCode(res.ExitCode); err != nil || !known || (f != exitcode.OK && f != exitcode.SliceFailed && f != exitcode.CheckFailed) {
			return c.chain.Failure("daq")
		}
	default:
	}
	return nil
}

// startDAQ takes the present run, or goes on with it: slices come somewhat faster than they can be worked on, until two thirds
// of the run.
func (c *chaos) startDAQ(ctx context.Context) error {
	perSTF := time.Duration(slicesPerSTF) * c.cfg.Work / time.Duration(c.cfg.Pilots*c.cfg.Slots)
	return c.chain.StartDAQ(ctx, c.run, "--frames", strconv.Itoa(slicesPerSTF), "--slices-per-sample", strconv.Itoa(slicesPerSTF),
		"--stf-count", strconv.Itoa(c.cfg.Slices/slicesPerSTF), "--stf-interval", max(time.Millisecond, perSTF*2/3).String(),
		"--target-worker-count", strconv.Itoa(c.cfg.Pilots), "--stf-generation-time", "1ms", "--wait-results", "0s", "--detector-collisions", "1")
}

// seededJitter draws durations, the same for the same seed and stream as far as the order of the callers is the same.
func seededJitter(seed, stream uint64) func(time.Duration) time.Duration {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, stream))
	return func(d time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(rng.Int64N(int64(d)))
	}
}
