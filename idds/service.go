package idds

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"tfpilot/internal/books"
	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/demand"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/intake"
	"tfpilot/internal/latency"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/scaler"
	"tfpilot/internal/stomp"
	"tfpilot/internal/storewatch"
	"tfpilot/internal/whereabouts"
	"tfpilot/internal/workflow"
)

// Config is how idds decides.
type Config struct {
	// Namespace is what this idds is for: messages of others are not its.
	Namespace   string `toml:"namespace" default:"default" help:"namespace of the runs"`
	MaxAttempts int    `toml:"max_attempts" default:"3" help:"publications of a slice before it ends as failed"`
	// LostAfter is how long workers of a run must have been idle on a proven link before an attempt that none of them reports
	// to hold is given up.
	LostAfter time.Duration `toml:"lost_after" default:"60s" help:"idle time of a run's workers after which an attempt held by none is sent again"`
	// PeerIdle takes the place of LostAfter, when it is longer, in runs with results of workers that report nothing to us.
	PeerIdle time.Duration `toml:"peer_idle" default:"120s" help:"the same in runs with workers that do not report, the idle timeout of those"`
	// DeadLetters are where the broker puts what it gives up.
	DeadLetters []string `toml:"dead_letters" default:"DLQ,ExpiryQueue" help:"addresses where the broker puts messages that died or expired"`
	// QuietEnd closes a run whose producer announced no number of slices.
	QuietEnd   time.Duration `toml:"quiet_end" default:"10s" help:"time without a new slice that ends a run whose slices were not counted"`
	RunTimeout time.Duration `toml:"run_timeout" default:"30m" help:"time after end_run at which what is left ends as failed"`
	// WorkerSilence is after how long without a report a worker counts as gone.
	WorkerSilence time.Duration `toml:"worker_silence" default:"15s" help:"time without a report after which a worker counts as gone that does not say how often it reports; three heart-beats otherwise"`
	SliceTTL      time.Duration `toml:"slice_ttl" default:"12h" help:"time after which the broker may drop a slice sent again"`
	Tick          time.Duration `toml:"tick" default:"500ms" help:"time between two looks at what is due"`
	// Now is the machine's clock; time.Now when nil.
	Now func() time.Time `toml:"-"`
	// HereEvery is how often another idds of the namespace is told of this one; a minute when 0.
	HereEvery time.Duration `toml:"-"`

	ledger.Duties

	// Demand is how it is decided how many workers are wanted.
	Demand demand.Policy `toml:"demand"`

	// Saw hears of every message of the namespace, also of junk, but for our own heart-beats; nobody when nil. It has to be quick.
	Saw func(document.SeenMessage) `toml:"-"`
	// Stops is a line of its own on which to hear whether somebody else tells workers that their run is over: Artemis ends the
	// connection of who may not subscribe, and only this use may be refused. The service's line when nil.
	Stops *broker.Link `toml:"-"`
}

// Service is idds without its REST interface. What it tells of runs, slices and workers are its books.
type Service struct {
	*books.Books

	cfg    Config
	store  ledger.Store
	ledger ledger.Rules
	tasks  workflow.Rules
	link   *broker.Link
	log    *slog.Logger
	clock  *clock
	now    func() time.Time // the clock's, but for tests
	// junk cannot be understood, foreign is of another namespace and got past the selector, unmatched are results that fit no slice.
	junk, foreign, unmatched *intake.Sightings

	watch    *storewatch.Watch
	measured *latency.Measured               // what runs have taken
	scaler   *scaler.Scaler                  // how many workers they want
	demanded atomic.Pointer[document.Demand] // of the last look at the runs that are not over
	results  intake.Backlog                  // of the queue of results
	behind   func() bool                     // isBehind, but for tests
	absent   whereabouts.Absences            // of findLost alone
	lookedAt string                          // of lookBack alone: the run after which it goes on
	downed   map[string]time.Time            // of findLost alone: pilots that were noted as silent, with their last report
	another  rate.Sometimes                  // how often the log has it that there is another idds
	mute     bool                            // of sayHere alone: the broker lets it not be said
	// started is when Run was called; nothing before it counts as time that a run had.
	started time.Time

	unready atomic.Int32  // subscriptions that the broker has not confirmed yet
	ready   chan struct{} // closed when there are none
}

// Ready is closed when the broker has confirmed every subscription: from then on nothing is missed.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Now is the time by which the service decides.
func (s *Service) Now() time.Time { return s.now().UTC() }

// subscribed notes that a subscription is no longer waited for.
func (s *Service) subscribed() {
	if s.unready.Add(-1) == 0 {
		close(s.ready)
	}
}

// New makes a service on a store and a link.
func New(store ledger.Store, link *broker.Link, log *slog.Logger, cfg Config) (*Service, error) {
	config.Defaults(&cfg)
	if err := errors.Join(cfg.Validate(), exitcode.Wrap(exitcode.Usage, cfg.Demand.Validate())); err != nil {
		return nil, err
	}
	if cfg.RetryOwner == ledger.Other { // he sees to them
		cfg.DeadLetters = nil
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.HereEvery = cmp.Or(cfg.HereEvery, time.Minute)
	s := &Service{
		cfg: cfg, store: store, link: link, log: log, clock: newClock(cfg.Now),
		watch: storewatch.New(store, log), measured: latency.New(store), scaler: scaler.New(cfg.Demand, cfg.Namespace, cfg.DemandFrom),
		ledger: ledger.Rules{MaxAttempts: cfg.MaxAttempts, Sender: cfg.Namespace + ".idds." + store.Name(), Duties: cfg.Duties},
		tasks:  workflow.Rules{DemandFrom: cfg.DemandFrom},
		absent: whereabouts.Absences{}, ready: make(chan struct{}), another: rate.Sometimes{First: 1, Interval: 10 * time.Minute},
		junk: intake.NewSightings(log, "junk, acknowledged"), unmatched: intake.NewSightings(log, "results that fit no slice, counted with their runs"),
		foreign: intake.NewSightings(log, "of another namespace, although their headers say ours: left alone"),
	}
	s.now, s.behind = s.clock.now, s.isBehind
	s.Books = books.New(store, books.Config{Measured: s.measured, WorkerSilence: cfg.WorkerSilence, RetryOwner: cfg.RetryOwner, Now: s.Now})
	for _, o := range s.subscriptions() {
		if !s.optional(o) {
			s.unready.Add(1)
		}
	}
	return s, nil
}

// subscriptions are what idds listens to. Queues keep what comes while we are away; of the topic with the ends of runs a durable
// subscription does.
func (s *Service) subscriptions() []stomp.SubscribeOptions {
	ns := "namespace='" + selectorText(s.cfg.Namespace) + "'"
	stops := stomp.SubscribeOptions{Destination: message.TopicTransformer, Selector: ns, Window: intake.Window}
	if s.cfg.StopSender == ledger.Other { // his counts; of ours this is only to see whether there is another
		stops.Headers = message.Durable("stops")
	}
	all := []stomp.SubscribeOptions{
		{Destination: message.QueueSlicesIDDS, Selector: ns, Window: intake.Window},
		{Destination: message.QueueResultsIDDS, Selector: ns, Window: intake.Window},
		{Destination: message.TopicWorkers, Selector: ns, Window: intake.Window, Headers: message.Durable("runs")},
		stops,
	}
	for _, dead := range s.cfg.DeadLetters { // shared by everything on the broker: only what the workers' queue gave up
		all = append(all, stomp.SubscribeOptions{
			Destination: dead, Window: intake.Window, Selector: message.HeaderOriginalQueue + "='" + message.QueueSlicesWorkers + "' AND " + ns,
		})
	}
	return all
}

// Run follows the broker until ctx ends. It returns nil then. Without a store nothing may be acknowledged: it waits for one that is
// not available, and returns any other error of it.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if err := s.watch.Outlast(ctx, s.resume); err != nil {
		return err
	}
	if err := s.watch.Outlast(ctx, s.disturb); err != nil { // what was not acknowledged before a restart comes again
		return err
	}
	for _, o := range s.subscriptions() {
		g.Go(func() error { return s.follow(ctx, o) })
	}
	g.Go(func() error { return s.watchLink(ctx) })
	for _, work := range []func(context.Context) error{s.resend, s.tellWorkers, s.closeRuns, s.takeOver} {
		g.Go(func() error { return s.every(ctx, s.cfg.Tick, work) })
	}
	for _, work := range []func(context.Context) error{s.measureRuns, s.lookBack} {
		g.Go(func() error { return s.every(ctx, s.cfg.Tick, sparingly(work)) })
	}
	g.Go(func() error { return s.every(ctx, demandEvery, sparingly(s.watchDemand)) })
	g.Go(func() error { return s.every(ctx, s.cfg.HereEvery, s.sayHere) })
	g.Go(func() error {
		s.watch.Try(ctx)
		return s.every(ctx, storewatch.PulseEvery, func(ctx context.Context) error { s.watch.Try(ctx); return nil })
	})
	// It looks at everything that is outstanding: no more often than it can come to another end, and a tenth of the time at most.
	g.Go(func() error { return s.every(ctx, max(s.cfg.Tick, s.cfg.LostAfter/lostLooks), sparingly(s.findLost)) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// follow consumes from one destination.
func (s *Service) follow(ctx context.Context, o stomp.SubscribeOptions) error {
	if !s.optional(o) {
		return s.consume(ctx, s.link, o, s.subscribed)
	}
	err := s.consume(ctx, s.cfg.Stops, o, func() {})
	if errors.Is(err, broker.ErrClosed) || exitcode.From(err).Name == exitcode.BrokerRefused.Name {
		return nil // nothing depends on it; idds doctor says so
	}
	return err
}

// optional reports whether a subscription is only to see a second actor, on a line of its own.
func (s *Service) optional(o stomp.SubscribeOptions) bool {
	return s.cfg.Stops != nil && o.Destination == message.TopicTransformer && s.cfg.StopSender != ledger.Other
}

// disturb notes a fault in all runs that are not over.
func (s *Service) disturb(ctx context.Context) error {
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil || len(runs) == 0 {
		return err
	}
	return s.store.Update(ctx, func(tx ledger.Tx) error {
		for _, r := range runs {
			if err := s.ledger.Disturb(tx, r.Namespace, r.RunID.String()); err != nil {
				return err
			}
		}
		return nil
	})
}

// watchLink notes lost connections.
func (s *Service) watchLink(ctx context.Context) error {
	for {
		changed := s.link.Changed()
		if state := s.link.State(); !state.Connected && state.Generation > 0 {
			if err := s.watch.Outlast(ctx, s.disturb); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func selectorText(s string) string {
	return strings.ReplaceAll(s, "'", "''")
}

// Report notes what a pilot says of itself and answers with what it should know.
func (s *Service) Report(ctx context.Context, w document.WorkerReport) (document.WorkerReply, error) {
	reply := document.WorkerReply{At: s.now().UTC()}
	err := s.store.Update(ctx, func(tx ledger.Tx) error {
		if err := tx.PutWorker(w, s.now().UTC()); err != nil {
			return err
		}
		r, err := tx.Run(w.Namespace, w.RunID)
		if r != nil {
			reply.RunState = r.State
		}
		reply.Stay = s.scaler.Stays(w.PilotID)
		reply.Drain = reply.RunState == document.RunClosed && !reply.Stay || s.scaler.Leaves(w.PilotID)
		return err
	})
	return reply, err
}
