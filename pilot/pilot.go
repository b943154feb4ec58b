package pilot

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/slotend"
	"tfpilot/internal/stomp"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// Link is what a pilot needs of the broker.
type Link interface {
	Subscribe(o stomp.SubscribeOptions) *broker.Consumer
	Publish(ctx context.Context, m broker.Out) error
	State() broker.State
	// Changed is closed at the next change of the state.
	Changed() <-chan struct{}
}

// Runner works on slices.
type Runner interface {
	// Prepare returns when a slice could be worked on at once in a slot, counted from 0.
	Prepare(ctx context.Context, slot int) (payload.Startup, error)
	// Run works on one slice, in a slot that is prepared if one is free. What is left of the payload then is what stays between
	// slices.
	Run(ctx context.Context, s message.Slice) wrapper.Outcome
	// Prefetch brings the input of a slice that will be run soon to the node, where that takes time. What fails, Run will tell.
	Prefetch(ctx context.Context, s message.Slice)
	// Identity is the payload that it runs.
	Identity() message.PayloadIdentity
}

// Journal remembers slices in hand and outcomes that are not acknowledged yet, over the pilot's death.
type Journal interface {
	// Received notes a slice in hand.
	Received(k JournalKey) error
	// Outcome notes the result before it is sent.
	Outcome(k JournalKey, done bool, result []byte) error
	// Published notes that the broker has the result: what is left is to acknowledge the slice.
	Published(k JournalKey)
	// Find returns the result that answers a redelivery of this attempt: of any attempt when it was done, of this one when it
	// failed.
	Find(k JournalKey) (result []byte, done, ok bool)
	// Drop forgets an attempt that has been acknowledged or given back.
	Drop(k JournalKey)
}

// JournalKey names an attempt of a slice.
type JournalKey struct {
	Run, Identity string
	Attempt       int
}

func (k JournalKey) run() slog.Attr     { return slog.String(logging.KeyRun, k.Run) }
func (k JournalKey) slice() slog.Attr   { return slog.String(logging.KeySlice, k.Identity) }
func (k JournalKey) attempt() slog.Attr { return slog.Int(logging.KeyAttempt, k.Attempt) }

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
	log     *slog.Logger
	id      string
	host    string
	drains  <-chan error
	started time.Time

	mu       sync.Mutex
	run      string        // that it serves; empty while it takes slices of any
	rebound  chan struct{} // closed, and replaced, when it serves another run
	inHand   map[string]inHand
	rests    int           // slots that rest after a failure of the site, or whose payload is not ready
	prepared int           // slots whose payload is ready
	startup  time.Duration // the longest that a payload has taken to become ready
	// unready is why no payload becomes ready; empty while one is, or none has failed to.
	unready  string
	totals   document.WorkerTotals
	last     time.Time // when a slice was last in hand, or the first subscription confirmed
	hadSlice bool
	// readyAt is when it could have its first slice, firstSliceAt when it had one.
	readyAt, firstSliceAt time.Time
	staySaid              bool // that it stays although an idle time has passed; false again with the next slice
	phase                 document.WorkerPhase
	runState              document.RunState
	asked                 time.Time // when idds last answered
	kept                  bool      // idds keeps it between runs, it said
	stopped               time.Time // when stop_transformer came
	releases              map[string]releases
	junkSaid              time.Time
	looked                time.Time // when something last looked at the time, see awake
	resumed               time.Time // when the pilot last went on after it had stood still
	exit                  *document.WorkerLastWord

	signalled <-chan struct{} // closed with the first signal
	warned    chan struct{}   // closed with the first warning that the slot will be taken back
	pace      pace
	paced     chan struct{} // has the pace looked at soon; holds one
	payloads  chan struct{} // holds one for each payload that is ready and does not run
	giveWay   chan struct{} // closed, and replaced, when what waits for a payload's turn is to be given back

	heart    *heartbeat.Heart
	node     *fitness.Gate
	deadline *slotend.Deadline
}

// Parts are what a pilot is put together from.
type Parts struct {
	Link    Link
	Runner  Runner
	Journal Journal
	// Reporter may be nil: then nobody is told and nobody is asked.
	Reporter heartbeat.Reporter
	// Node may be nil: then the node is taken for fit.
	Node fitness.Node
	// Open, when it is not nil, is called once the node has been found fit, before the first slice is taken: it opens what lies on
	// the node's disks, which would hang or fail on a node that is not.
	Open func() error
	// Place may be nil: then the slot has no end that anybody knows.
	Place slotend.Place
	// Drain has the pilot take no further slice, for the cause that comes; nil when nobody asks for that.
	Drain  <-chan error
	Logger *slog.Logger
}

// New makes a pilot.
func New(parts Parts, to Destinations, cfg Config) (*Pilot, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Slots == AutoSlots {
		cfg.Slots = 1 // nobody has found out what fits
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
		cfg: cfg, to: to, link: parts.Link, runner: parts.Runner, journal: parts.Journal,
		drains: parts.Drain, id: cmp.Or(cfg.ID, NewID(host)), host: host, started: now, run: cfg.Run, inHand: map[string]inHand{}, last: now,
		phase: document.WorkerStarting, releases: map[string]releases{},
	}
	p.log = parts.Logger.With(slog.String(logging.KeyPilot, p.id)) // logs of many pilots are looked through together
	p.warned = make(chan struct{})
	p.rebound, p.paced, p.giveWay = make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	p.payloads = make(chan struct{}, cfg.Slots)
	p.heart = heartbeat.New(parts.Reporter, cfg.Heartbeat, p.log)
	p.node = fitness.New(parts.Node, fitness.Config{
		Hold: cfg.NodeHold, Every: cfg.NodeEvery, Open: parts.Open, Busy: p.busy, Changed: p.heart.Soon,
	}, p.log)
	p.deadline = slotend.New(parts.Place, slotend.Config{Reserve: cfg.EndReserve, SliceTime: cfg.SliceTime}, p.log)
	if parts.Reporter == nil {
		p.deadline.Compare(time.Time{}, now) // nobody to compare the clock with
	}
	return p, nil
}

// The reasons to leave.
var (
	errRunOver = exitcode.New(exitcode.OK, "the run is over")
	errDrain   = exitcode.New(exitcode.Drained, "idds asked to drain")
)

// Run holds the slots until the run is over, nothing comes any more, or ctx ends (a signal). It returns nil for a normal end.
func (p *Pilot) Run(ctx context.Context) error {
	// take ends when no further slice is to be taken; work lets payloads under way go on for the drain time.
	p.signalled = ctx.Done()
	p.awake(time.Now())
	p.sayPlace(ctx)
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
	others.Go(func() {
		p.heart.Beat(side, p.Report, func(a heartbeat.Answer) { p.answered(a, stopTaking) })
	})
	others.Go(func() { p.listen(side) })
	others.Go(func() { p.deadline.Watch(side, p.heart.Soon) })
	others.Go(func() { p.watchEnd(side, stopTaking, stopWork) })
	others.Go(func() { p.awaitDrain(side, stopTaking) })
	others.Go(func() { p.watchIdle(take, stopTaking) })
	others.Go(func() {
		if cause := p.node.Watch(take); cause != nil {
			stopTaking(cause)
		}
	})
	others.Go(func() {
		p.watchBroker(side, func(cause error) {
			stopTaking(cause)
			stopWork(cause) // what is in hand are results that nobody takes
		})
	})

	var slots sync.WaitGroup
	for i := range int(p.cfg.Slots) {
		s := &slot{p: p, number: i, log: p.log.With(slog.Int("slot", i))}
		slots.Go(func() { s.run(take, work, stopTaking) })
	}
	slots.Go(func() { p.workAhead(take, work) })
	var signalled func() error
	others.Go(func() {
		select {
		case <-ctx.Done():
		case <-side.Done():
		}
		if ctx.Err() != nil {
			signalled = p.deadline.Signalled(ctx)
		}
	})
	slots.Wait()
	cause := context.Cause(take)
	endSide()
	others.Wait()
	if signalled != nil && cause == context.Cause(ctx) { //nolint:errorlint // the very cause of ctx, and no other
		cause = signalled()
	}
	p.lastWord(ctx, cause)
	if exitcode.From(cause) == exitcode.OK {
		return nil
	}
	return cause
}

// awaitDrain ends the taking when somebody asks for it. What is under way goes on.
func (p *Pilot) awaitDrain(ctx context.Context, stopTaking func(error)) {
	select {
	case cause := <-p.drains:
		close(p.warned)
		stopTaking(cause)
	case <-ctx.Done():
	}
}

// drain notes that no further slice is taken.
func (p *Pilot) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = document.WorkerDraining
	close(p.giveWay) // and workAhead replaces it no more: nothing waits from now on
}
