package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/intake"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/recent"
	"tfpilot/internal/stomp"
	"tfpilot/internal/storewatch"
)

// Config is what a record listens to.
type Config struct {
	// Namespace is whose messages are noted.
	Namespace string
	// Link is a line of its own, which a broker may refuse; nothing is listened to when nil.
	Link *broker.Link
	// Topic is where the data side speaks.
	Topic string
	// Now is the machine's clock; time.Now when nil.
	Now func() time.Time
	// WriteEvery is how often the components are written (default 10 s).
	WriteEvery time.Duration
}

// Record is what is known beside slices.
type Record struct {
	cfg    Config
	store  ledger.Store
	memory *recent.Memory
	log    *slog.Logger
	watch  *storewatch.Watch
	junk   *intake.Sightings
	self   string // what our own messages say that they are from

	ready chan struct{}

	mu         sync.Mutex
	components map[componentKey]*component
	gone       map[componentKey]bool // to be dropped from the store
	refused    error                 // why the topic is not heard
	saw        time.Time             // the last message
}

// New makes a record on a store and a memory.
func New(store ledger.Store, memory *recent.Memory, log *slog.Logger, cfg Config) *Record {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.WriteEvery = cmp.Or(cfg.WriteEvery, 10*time.Second)
	cfg.Topic = cmp.Or(cfg.Topic, message.TopicEpic)
	return &Record{
		cfg: cfg, store: store, memory: memory, log: log, watch: storewatch.New(store, log), junk: intake.NewSightings(log, "of the data side, not understood"), self: cfg.Namespace + ".idds." + store.Name(),
		ready: make(chan struct{}), components: map[componentKey]*component{}, gone: map[componentKey]bool{},
	}
}

// Ready is closed when the broker has confirmed the subscription, or has refused it.
func (r *Record) Ready() <-chan struct{} { return r.ready }

// Run listens and writes until ctx ends. It returns nil then.
func (r *Record) Run(ctx context.Context) error {
	if err := r.watch.Outlast(ctx, r.load); err != nil {
		return ended(err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.write(ctx) })
	g.Go(func() error { return r.listen(ctx) })
	return ended(g.Wait())
}

func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// listen hears the data side. Its agents send no headers, so there is nothing that a selector could look at.
func (r *Record) listen(ctx context.Context) error {
	if r.cfg.Link == nil {
		close(r.ready)
		return nil
	}
	in := intake.Intake{
		Link: r.cfg.Link, Backlog: &intake.Backlog{}, Now: time.Now, Log: r.log, Handle: r.take,
		Subscription: stomp.SubscribeOptions{
			Destination: r.cfg.Topic, Window: intake.Window,
			Headers: message.Durable("detector"),
		},
	}
	var once sync.Once
	ready := func() { once.Do(func() { close(r.ready) }) }
	err := in.Run(ctx, ready)
	if errors.Is(err, broker.ErrClosed) || exitcode.From(err).Name == exitcode.BrokerRefused.Name {
		r.mu.Lock()
		r.refused = err
		r.mu.Unlock()
		ready()
		r.log.WarnContext(ctx, "the broker does not let us hear the detector: its state and files stay unknown; see docs/brokers.md",
			slog.String("destination", r.cfg.Topic), logging.Err(err))
		return nil
	}
	return err
}

// Health is how the line to the data side is; ok is false when nothing is listened to.
func (r *Record) Health() (part document.HealthPart, ok bool) {
	if r.cfg.Link == nil {
		return part, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	part = document.HealthPart{Name: "detector", OK: true, Details: "heard on " + r.cfg.Topic}
	state := r.cfg.Link.State()
	switch {
	case r.refused != nil:
		part.OK, part.Details = false, logging.Redact("not heard: "+r.refused.Error())
	case !state.Connected:
		part.OK, part.Details, part.Since = false, "no connection to the broker", state.Since.UTC()
	}
	return part, true
}

// Saw notes a message that the service has seen.
func (r *Record) Saw(s document.SeenMessage) {
	r.memory.AddMessage(s)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saw = now
	switch {
	case s.Junk != "":
	case message.IsTransformer(s.MsgType):
		r.transformer(s, now)
	case s.Sender != "" && s.MsgType != message.TypeSliceResult: // their senders are pilots, which report
		r.sender(s.Namespace, s.Sender, s.RunID, now)
	}
}

// transformer notes a heart-beat of a worker of the production system. The lock is held.
func (r *Record) transformer(s document.SeenMessage, now time.Time) {
	var m struct {
		Content struct {
			ID       message.Text `json:"id"`
			Hostname string       `json:"hostname"`
		} `json:"content"`
	}
	if json.Unmarshal(s.Body, &m) != nil || m.Content.ID == "" {
		return
	}
	state := map[string]string{message.TypeTransformerStart: stateStarting, message.TypeTransformerEnd: stateExited}[s.MsgType]
	r.note(document.Component{
		Namespace: s.Namespace, Name: string(m.Content.ID), Role: "transformer", State: cmp.Or(state, statePresent),
		Hostname: m.Content.Hostname, RunID: s.RunID, HeartbeatSeconds: agentBeat.Seconds(),
	}, now)
}
