package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/stomp"
	"tfpilot/internal/testbed"
)

// Config says how much goes through.
type Config struct {
	Out    string        `toml:"out" default:"soak-out" help:"folder for the report and all state; a former one's is replaced"`
	Slices int           `toml:"slices" default:"1000000" help:"slices"`
	Slots  int           `toml:"slots" default:"8" help:"slots of the pilot"`
	Stall  time.Duration `toml:"stall" default:"1m" help:"give up when no result has come for so long"`
}

const (
	run       = "300001"
	namespace = "soak"
	// publishers are how many publish at a time, and ahead how many slices may be without a result.
	publishers = 16
	ahead      = 2000
	// warmers is the part of the slices that goes first, so that everything a slice needs is there before the first row is sampled.
	warmers = 20
	// trace makes the Go runtime of a program print its goroutines five times a second.
	trace = "GODEBUG=schedtrace=200,scheddetail=1"
	// traceLimit bounds how long that may take.
	traceLimit = 20 * time.Second
)

// Validate names every value that makes no sense.
func (c Config) Validate() error {
	var errs []error
	if c.Slices < 100 || c.Slices > 1_000_000_000 {
		errs = append(errs, fmt.Errorf("--slices %d: must be from 100 to 1000000000", c.Slices))
	}
	if c.Slots < 1 || c.Slots > 1000 {
		errs = append(errs, fmt.Errorf("--slots %d: must be from 1 to 1000", c.Slots))
	}
	if c.Stall <= 0 {
		errs = append(errs, fmt.Errorf("--stall %s: must be positive", c.Stall))
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// soak is one that is under way.
type soak struct {
	cfg   Config
	stack *testbed.Stack
	link  *broker.Link
	show  *program.Progress

	tickets chan struct{} // one for each slice without a result
	warm    chan struct{} // closed when the other slices may follow the first
	done    atomic.Int64  // results of slices that had none
	again   atomic.Int64  // results of slices that had one
	failed  atomic.Int64
}

// Run takes the slices through and returns what was sampled. The error is the report's verdict, or why there is none.
func Run(ctx context.Context, cfg Config, bin string, out io.Writer) (Report, error) {
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	if err := testbed.NeedPrograms(bin, "testbed", "pilot"); err != nil {
		return Report{}, err
	}
	dir, unlock, err := testbed.CleanFolder(cfg.Out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	stack, err := testbed.NewStack(dir, bin)
	if err != nil {
		return Report{}, err
	}
	s := &soak{cfg: cfg, stack: stack, show: program.NewProgress(out, time.Now()), tickets: make(chan struct{}, ahead), warm: make(chan struct{})}
	// Our link ends after the programs, whose last messages are of no interest.
	own, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	defer func() {
		stack.StopAll()
		hangUp()
		_ = group.Wait()
	}()
	if err := s.start(ctx); err != nil {
		return Report{}, testbed.Cause(ctx, err)
	}
	group.Go(func() error { return s.link.Run(own) })
	report, err := s.work(ctx)
	if err != nil {
		err = testbed.Cause(ctx, err)
		s.show.Note(time.Now(), "stopping everything")
		return Report{}, err
	}
	return report, errors.Join(report.Write(dir), report.Verdict())
}

// start starts broker and pilot.
func (s *soak) start(ctx context.Context) error {
	binds := message.TopicSlices + "=" + message.QueueSlicesWorkers + "," + message.TopicResults + "=" + message.QueueResultsFast
	if err := s.stack.Start(ctx, "broker", "testbed", []string{
		"broker", "--listen", "127.0.0.1:0", "--address-file", s.stack.AddressFile("broker"), "--bind", binds, "--state", s.stack.Path("broker"),
	}, trace); err != nil {
		return err
	}
	addr, err := s.stack.Address(ctx, "broker")
	if err != nil {
		return err
	}
	if s.link, err = broker.New(broker.Config{Addrs: []string{addr}}); err != nil {
		return err
	}
	file := s.stack.Path("broker.toml")
	entry := func(destination string) map[string]any {
		return map[string]any{"destination": destination, "brokers": []string{addr}}
	}
	b, err := toml.Marshal(map[string]any{
		"transformer_broker": entry(message.QueueSlicesWorkers), "transformer_broadcast_broker": entry(message.TopicTransformer),
		"result_broker": entry(message.TopicResults),
	})
	if err != nil {
		return fmt.Errorf("encoding the broker configuration: %w", err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the broker configuration: %w", err)
	}
	if err := s.stack.Start(ctx, "pilot", "pilot", []string{
		"run", "--broker-config", file, "--payload", "synthetic", "--slots", strconv.Itoa(s.cfg.Slots), "--namespace", namespace, "--run", run,
		"--journal-dir", s.stack.Path("journal"), "--work-dir", s.stack.Path("work"), "--log-level", "warn",
	}, trace); err != nil {
		return err
	}
	s.show.Note(time.Now(), "broker on %s, a pilot of %d slots, %d slices", addr, s.cfg.Slots, s.cfg.Slices)
	return nil
}

// work publishes, consumes and samples until every slice has its result.
func (s *soak) work(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	report := Report{Slices: s.cfg.Slices, Slots: s.cfg.Slots}
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	g.Go(func() error { return s.consume(ctx, ready) })
	var next atomic.Int64
	for range publishers {
		g.Go(func() error {
			select {
			case <-ready:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			return s.publish(ctx, &next)
		})
	}
	g.Go(func() (err error) {
		report.Rows, err = s.sample(ctx)
		return err
	})
	err := g.Wait()
	report.Failed, report.Again = int(s.failed.Load()), int(s.again.Load())
	return report, err
}

// first is how many slices go ahead of the others.
func (s *soak) first() int64 { return int64(s.cfg.Slices / warmers) }

// publish publishes slices until there are no more.
func (s *soak) publish(ctx context.Context, next *atomic.Int64) error {
	for {
		n := next.Add(1)
		if n > int64(s.cfg.Slices) {
			return nil
		}
		if n > s.first() {
			select {
			case <-s.warm:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case s.tickets <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := message.At(time.Now())
		body, err := json.Marshal(message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: now, Sender: "soak", Namespace: namespace,
			Content: message.SliceContent{
				RunID: message.Run(run), ReqID: message.Text(strconv.FormatInt(n, 10)), Filename: "none.stf", TFFilename: "none.tf",
				SliceID: message.NewInt(n), Start: message.NewInt(0), End: message.NewInt(9), TFCount: message.NewInt(10), State: "queued",
				Substate: "new", Attempt: message.NewInt(1), FirstCreatedAt: now,
			},
		})
		if err != nil {
			return fmt.Errorf("encoding a slice: %w", err)
		}
		if err := s.link.Publish(ctx, broker.Out{
			Destination: message.TopicSlices, Body: body, DuplicateID: "slice/" + strconv.FormatInt(n, 10),
			Headers: []string{"persistent", "true", "namespace", namespace, "run_id", run, "msg_type", message.TypeSlice},
		}); err != nil {
			return err
		}
	}
}

// consume counts results until every slice has one.
func (s *soak) consume(ctx context.Context, ready chan<- struct{}) error {
	results := s.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueResultsFast, Ack: "auto"})
	select {
	case <-results.Ready():
		close(ready)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	seen := make([]bool, s.cfg.Slices+1)
	for s.done.Load() < int64(s.cfg.Slices) {
		limited, cancel := context.WithTimeoutCause(ctx, s.cfg.Stall,
			exitcode.New(exitcode.CheckFailed, "no result for %s; the logs are in %s", s.cfg.Stall, s.stack.Path("logs")))
		d, err := results.Next(limited)
		cancel()
		if err != nil {
			return err
		}
		m, err := message.Decode[message.SliceResult](d.Body)
		if err != nil {
			return fmt.Errorf("a result that cannot be read: %w", err)
		}
		n, err := strconv.Atoi(string(m.Content.ReqID))
		switch {
		case err != nil || n < 1 || n > s.cfg.Slices:
			return exitcode.New(exitcode.CheckFailed, "a result of slice %q, which was never published", m.Content.ReqID)
		case seen[n]:
			s.again.Add(1)
			continue
		case m.Content.State != message.StateDone:
			s.failed.Add(1)
		}
		seen[n] = true
		s.done.Add(1)
		<-s.tickets
	}
	return nil
}
