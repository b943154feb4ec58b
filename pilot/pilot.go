package pilot

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/version"
	"tfpilot/wrapper"
)

// Link is what a pilot needs of the broker.
type Link interface {
	Subscribe(o stomp.SubscribeOptions) *broker.Consumer
	Publish(ctx context.Context, m broker.Out) error
	State() broker.State
}

// Runner works on one slice. It returns when nothing of the payload is left.
type Runner interface {
	Run(ctx context.Context, s message.Slice) wrapper.Outcome
}

// Journal remembers slices in hand and outcomes that are not acknowledged yet, over the pilot's death.
type Journal interface {
	// Received notes a slice in hand.
	Received(k JournalKey) error
	// Outcome notes the result before it is sent.
	Outcome(k JournalKey, done bool, result []byte) error
	// Find returns the result that answers a redelivery of this attempt: of any attempt when it was done, of this one when it
	// failed.
	Find(k JournalKey) (result []byte, done, ok bool)
	// Drop forgets a slice that has been acknowledged.
	Drop(k JournalKey) error
}

// JournalKey names an attempt of a slice.
type JournalKey struct {
	Run, Identity string
	Attempt       int
}

func (k JournalKey) slice() slog.Attr   { return slog.String(logging.KeySlice, k.Identity) }
func (k JournalKey) attempt() slog.Attr { return slog.Int(logging.KeyAttempt, k.Attempt) }

// Reporter tells idds how the pilot is.
type Reporter interface {
	Report(ctx context.Context, w message.WorkerReport) (message.WorkerReply, error)
}

// Config is how a pilot behaves.
type Config struct {
	Run       string `toml:"run" help:"run number; without one the run of the first slice"`
	Namespace string `toml:"namespace" help:"namespace: messages of others are left alone"`
	Slots     int    `toml:"slots" default:"1" help:"payloads at once"`
	// IdleTimeout counts on a proven link, after the first slice, unless idds says that the run is open.
	IdleTimeout time.Duration `toml:"idle_timeout" default:"2m" help:"leave after this long without a slice"`
	// FirstSliceTimeout is the same before the first slice.
	FirstSliceTimeout time.Duration `toml:"first_slice_timeout" default:"10m" help:"leave after this long when no slice comes at all"`
	// StopQuiet is how long no slice may come after stop_transformer.
	StopQuiet time.Duration `toml:"stop_quiet" default:"5s" help:"leave after the stop message and this long without a slice"`
	Heartbeat time.Duration `toml:"heartbeat" default:"5s" help:"time between two reports to idds"`
	// DrainTime is how long a signal lets payloads go on.
	DrainTime time.Duration `toml:"drain_time" default:"10s" help:"time that a signal leaves to payloads under way"`
	// SiteHold is how long a slot takes no slice after a failure of the site; doubled each time up to ten times.
	SiteHold    time.Duration `toml:"site_hold" default:"10s" help:"time a slot rests after a failure of the site"`
	MaxReleases int           `toml:"max_releases" default:"3" help:"releases of one slice for the site's sake before it is published as failed"`
	ResultTTL   time.Duration `toml:"result_ttl" default:"12h" help:"time after which the broker may drop a result"`
	BatchSystem string        `toml:"batch_system" help:"batch system that runs the pilot, set by the harvester"`
	BatchID     string        `toml:"batch_id" help:"the pilot's id there, set by the harvester"`
}

// Destinations are where a pilot listens and speaks, from its broker configuration.
type Destinations struct {
	Slices, Broadcast, Results string
}

// Pilot is one pilot. Make it with New and run it once.
type Pilot struct {
	cfg     Config
	to      Destinations
	link    Link
	runner  Runner
	journal Journal
	report  Reporter
	log     *slog.Logger
	id      string
	host    string
	started time.Time
	bound   chan struct{} // closed when the run is known, by bind
	bind    func()

	mu       sync.Mutex
	run      string
	inHand   map[string]inHand
	totals   message.WorkerTotals
	last     time.Time // when a slice was last in hand, or the link proven
	hadSlice bool
	phase    message.WorkerPhase
	runState message.RunState
	asked    time.Time // when idds last answered
	stopped  time.Time // when stop_transformer came
	releases map[string]int
	junkSaid time.Time
}

// Parts are what a pilot is put together from.
type Parts struct {
	Link    Link
	Runner  Runner
	Journal Journal
	// Reporter may be nil: then nobody is told and nobody is asked.
	Reporter Reporter
	Logger   *slog.Logger
}

// New makes a pilot.
func New(parts Parts, to Destinations, cfg Config) (*Pilot, error) {
	config.Defaults(&cfg)
	if cfg.Slots < 1 {
		return nil, exitcode.New(exitcode.BadConfig, "slots %d: must be at least 1", cfg.Slots)
	}
	if parts.Logger == nil {
		parts.Logger = logging.Discard()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	now := time.Now()
	p := &Pilot{
		cfg: cfg, to: to, link: parts.Link, runner: parts.Runner, journal: parts.Journal, report: parts.Reporter, log: parts.Logger,
		id: newID(host), host: host, started: now, run: cfg.Run, inHand: map[string]inHand{}, last: now,
		phase: message.WorkerStarting, releases: map[string]int{},
	}
	p.bound = make(chan struct{})
	p.bind = sync.OnceFunc(func() { close(p.bound) })
	return p, nil
}

// ID names the pilot in results and reports.
func (p *Pilot) ID() string { return p.id }

// The reasons to leave.
var (
	errRunOver = exitcode.New(exitcode.OK, "the run is over")
	errDrain   = exitcode.New(exitcode.OK, "idds asked to drain")
)

// Run holds the slots until the run is over, nothing comes any more, or ctx ends (a signal). It returns nil for a normal end.
func (p *Pilot) Run(ctx context.Context) error {
	// take ends when no further slice is to be taken; work lets payloads under way go on for the drain time.
	take, stopTaking := context.WithCancelCause(ctx)
	defer stopTaking(nil)
	defer context.AfterFunc(take, p.drain)()
	work, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWork(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(p.cfg.DrainTime, func() { stopWork(context.Cause(ctx)) })
	})()

	var others sync.WaitGroup
	side, endSide := context.WithCancel(context.WithoutCancel(ctx))
	others.Go(func() { p.reportAll(side, stopTaking) })
	others.Go(func() { p.listen(side) })
	others.Go(func() { p.watchIdle(take, stopTaking) })

	var slots sync.WaitGroup
	for i := range p.cfg.Slots {
		s := &slot{p: p, number: i, log: p.log.With(slog.Int("slot", i))}
		slots.Go(func() { s.run(take, work, stopTaking) })
	}
	slots.Wait()
	cause := context.Cause(take)
	endSide()
	others.Wait()
	if errors.Is(cause, context.Canceled) && ctx.Err() != nil {
		cause = exitcode.New(exitcode.Interrupted, "ended by a signal: %w", context.Cause(ctx))
	}
	p.lastWord(ctx, cause)
	if exitcode.From(cause) == exitcode.OK {
		p.log.InfoContext(ctx, "pilot left", slog.String("cause", cause.Error()))
		return nil
	}
	return cause
}

// drain notes that no further slice is taken.
func (p *Pilot) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = message.WorkerDraining
}

// reportAll reports at once, then with every heart-beat, and reads from the answers whether to leave.
func (p *Pilot) reportAll(ctx context.Context, stop context.CancelCauseFunc) {
	t := time.NewTicker(p.cfg.Heartbeat)
	defer t.Stop()
	for {
		if p.report != nil {
			reply, err := p.report.Report(ctx, p.document())
			switch {
			case err == nil:
				p.heard(reply)
				if reply.RunState == message.RunClosed {
					stop(errRunOver)
				} else if reply.Drain {
					stop(errDrain)
				}
			case ctx.Err() == nil:
				p.log.WarnContext(ctx, "idds does not answer", logging.Err(err))
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Pilot) heard(reply message.WorkerReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runState, p.asked = reply.RunState, time.Now()
}

// document is the report of this moment.
func (p *Pilot) document() message.WorkerReport {
	state := p.link.State()
	p.mu.Lock()
	defer p.mu.Unlock()
	w := message.WorkerReport{
		PilotID: p.id, Namespace: p.cfg.Namespace, RunID: p.run, Phase: p.phase, At: time.Now().UTC(), StartedAt: p.started.UTC(),
		HeartbeatSeconds: p.cfg.Heartbeat.Seconds(),
		Hostname:         p.host, PID: os.Getpid(), Version: version.String(), Slots: p.cfg.Slots,
		BatchSystem: p.cfg.BatchSystem, BatchID: p.cfg.BatchID, LinkProven: state.Connected, Totals: p.totals,
		InHand: []message.SliceInHand{},
	}
	for _, h := range p.inHand {
		w.InHand = append(w.InHand, h.SliceInHand)
	}
	if len(w.InHand) == 0 {
		w.IdleSince = p.last.UTC()
	}
	return w
}

// lastWord tells why the pilot leaves. The context has ended: a short one of its own bounds it.
func (p *Pilot) lastWord(ctx context.Context, cause error) {
	if p.report == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	f := exitcode.From(cause)
	w := p.document()
	w.Phase = message.WorkerEnded
	w.Exit = &message.WorkerLastWord{Code: f.Code, Name: f.Name, Class: string(f.Class), Cause: cause.Error()}
	if _, err := p.report.Report(ctx, w); err != nil {
		p.log.WarnContext(ctx, "the last word did not reach idds", logging.Err(err))
	}
}

// listen waits for stop_transformer of our run. It is a topic: a stop sent while we are away is lost, which is why idds is
// asked as well.
func (p *Pilot) listen(ctx context.Context) {
	c := p.link.Subscribe(stomp.SubscribeOptions{Destination: p.to.Broadcast, Selector: p.selector(""), Ack: "auto"})
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for {
		d, err := c.Next(ctx)
		if err != nil {
			return
		}
		m, err := message.Decode[message.StopTransformer](d.Body)
		if err != nil {
			continue // something else on the topic
		}
		p.mu.Lock()
		if m.RunID.String() == p.run && p.stopped.IsZero() {
			p.stopped = time.Now()
		}
		p.mu.Unlock()
	}
}

// watchIdle ends the taking when nothing comes any more.
func (p *Pilot) watchIdle(ctx context.Context, stop context.CancelCauseFunc) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if cause := p.idle(time.Now()); cause != nil {
				stop(cause)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// idle is the reason to leave for want of slices, nil while there is none.
func (p *Pilot) idle(now time.Time) error {
	state := p.link.State()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.inHand) > 0 {
		return nil
	}
	if !state.Connected {
		p.last = now // nothing can come: that is not idleness
		return nil
	}
	quiet := now.Sub(p.last)
	switch {
	case !p.stopped.IsZero() && quiet > p.cfg.StopQuiet && now.Sub(p.stopped) > p.cfg.StopQuiet:
		return errRunOver
	case p.asked.Add(3*p.cfg.Heartbeat).After(now) && (p.runState == message.RunOpen || p.runState == message.RunEnding):
		return nil // idds knows better
	case p.hadSlice && quiet > p.cfg.IdleTimeout:
		return exitcode.New(exitcode.IdleTimeout, "no slice for %s", p.cfg.IdleTimeout)
	case !p.hadSlice && quiet > p.cfg.FirstSliceTimeout:
		return exitcode.New(exitcode.NoFirstSlice, "no slice at all in %s", p.cfg.FirstSliceTimeout)
	}
	return nil
}
