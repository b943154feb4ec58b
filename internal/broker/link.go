package broker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/stomp"
)

// ErrStale is returned by an acknowledgement on a connection that is gone: the message is the broker's again.
var ErrStale = errors.New("the connection that delivered the message is gone")

// Config is which brokers to use and how.
type Config struct {
	// Addrs are host:port, tried in turn.
	Addrs []string
	// Session is used for every connection; its Login and Passcode are sent to each broker.
	Session stomp.Config
	// Dial replaces stomp.Dial in tests.
	Dial   func(ctx context.Context, addr string, cfg stomp.Config) (*stomp.Conn, error)
	Logger *slog.Logger

	// FirstWait and its caps are the back-off between two rounds over all brokers: random between 0 and a bound that
	// doubles from FirstWait to EarlyCap in the first minute without a connection, then to LateCap, so that ten thousand
	// pilots do not return at once.
	FirstWait time.Duration `default:"100ms" toml:"first_wait"`
	EarlyCap  time.Duration `default:"3s"    toml:"early_cap"`
	LateCap   time.Duration `default:"30s"   toml:"late_cap"`
	// DialLimit bounds one attempt.
	DialLimit time.Duration `default:"10s" toml:"dial_limit"`
}

// State is how the link stands.
type State struct {
	Connected bool
	// Since is when this state began.
	Since time.Time
	// Generation counts connections; 0 before the first.
	Generation uint64
	// Addr is the broker of the present connection.
	Addr string
	// Err is why there is none.
	Err error
	// Heard is when the broker last said anything on any connection.
	Heard time.Time
}

// Link keeps a connection alive. Its methods may be called from any goroutine; they wait while there is no connection.
type Link struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	conn    *stomp.Conn
	state   State
	changed chan struct{} // closed and replaced at every change of state
	users   sync.WaitGroup
}

// New makes a link; Run connects it.
func New(cfg Config) (*Link, error) {
	config.Defaults(&cfg)
	if len(cfg.Addrs) == 0 {
		return nil, exitcode.New(exitcode.BadConfig, "no broker address given")
	}
	if cfg.Dial == nil {
		cfg.Dial = stomp.Dial
	}
	if cfg.Logger == nil {
		cfg.Logger = logging.Discard()
	}
	return &Link{cfg: cfg, log: cfg.Logger, changed: make(chan struct{}), state: State{Since: time.Now()}}, nil
}

// Run connects, and reconnects whenever the connection is lost, until ctx ends. A refusal by the broker (wrong password) is
// an outage like any other here: brokers refuse while they start. It returns nil.
func (l *Link) Run(ctx context.Context) error {
	defer l.users.Wait()
	downSince := time.Now()
	bound := l.cfg.FirstWait
	start := rand.IntN(len(l.cfg.Addrs))
	for round := 0; ; round++ {
		for i := range l.cfg.Addrs {
			addr := l.cfg.Addrs[(start+i)%len(l.cfg.Addrs)]
			conn, err := l.dial(ctx, addr)
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				l.down(err)
				if round == 0 || round%20 == 0 {
					l.log.WarnContext(ctx, "no connection to the broker", slog.String("addr", addr), logging.Err(err))
				}
				continue
			}
			l.up(conn, addr)
			l.log.InfoContext(ctx, "connected to the broker", slog.String("addr", addr))
			select {
			case <-conn.Done():
				l.down(conn.Err())
				l.log.WarnContext(ctx, "lost the broker", slog.String("addr", addr), logging.Err(conn.Err()))
				_ = conn.Close()
				downSince, bound, round = time.Now(), l.cfg.FirstWait, 0
			case <-ctx.Done():
				l.down(context.Cause(ctx))
				l.goodbye(ctx, conn)
				return nil
			}
		}
		limit := l.cfg.EarlyCap
		if time.Since(downSince) > time.Minute {
			limit = l.cfg.LateCap
		}
		select {
		case <-time.After(rand.N(bound)):
		case <-ctx.Done():
			l.down(context.Cause(ctx))
			return nil
		}
		bound = min(2*bound, limit)
	}
}

func (l *Link) dial(ctx context.Context, addr string) (*stomp.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.DialLimit)
	defer cancel()
	return l.cfg.Dial(ctx, addr, l.cfg.Session)
}

// goodbye leaves with a receipt, so that what was sent has arrived. The context has ended: a short one of its own bounds it.
func (l *Link) goodbye(ctx context.Context, conn *stomp.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := conn.Disconnect(ctx); err != nil {
		l.log.DebugContext(ctx, "disconnecting", logging.Err(err))
	}
}

func (l *Link) up(conn *stomp.Conn, addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	now := time.Now()
	l.state = State{Connected: true, Since: now, Generation: l.state.Generation + 1, Addr: addr, Heard: now}
	l.announce()
}

func (l *Link) down(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.state.Heard
	if l.conn != nil {
		heard = l.conn.LastHeard()
	}
	since := l.state.Since
	if l.state.Connected {
		since = time.Now()
	}
	l.conn = nil
	l.state = State{Since: since, Generation: l.state.Generation, Err: err, Heard: heard}
	l.announce()
}

func (l *Link) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// State is how the link stands now.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	if l.conn != nil {
		s.Heard = l.conn.LastHeard()
	}
	return s
}

// Changed is closed at the next change of the state.
func (l *Link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// connection waits for a connection.
func (l *Link) connection(ctx context.Context) (*stomp.Conn, uint64, error) {
	for {
		l.mu.Lock()
		conn, generation, changed := l.conn, l.state.Generation, l.changed
		l.mu.Unlock()
		if conn != nil {
			return conn, generation, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}

// Out is a message to be published.
type Out struct {
	Destination string
	Body        []byte
	// DuplicateID becomes _AMQ_DUPL_ID; a repeated one is dropped by the broker as long as it remembers.
	DuplicateID string
	// Headers are further pairs of key and value.
	Headers []string
}

// Publish returns nil after the broker's receipt. It repeats over lost connections until ctx ends; a broker's refusal of the
// message itself is returned at once when it is not an outage.
func (l *Link) Publish(ctx context.Context, m Out) error {
	headers := slices.Clone(m.Headers)
	if m.DuplicateID != "" {
		headers = append(headers, duplicateHeader, m.DuplicateID)
	}
	for {
		conn, _, err := l.connection(ctx)
		if err != nil {
			return exitcode.New(exitcode.NoBroker, "publishing to %s: %w", m.Destination, err)
		}
		r, err := conn.Send(ctx, m.Destination, m.Body, headers...)
		if err == nil {
			err = r.Wait(ctx)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return exitcode.New(exitcode.NoBroker, "publishing to %s: %w", m.Destination, err)
		}
		l.log.WarnContext(ctx, "publishing again", slog.String("destination", m.Destination), logging.Err(err))
		// The connection is ending: its end, not our haste, sets the pace.
		select {
		case <-conn.Done():
		case <-ctx.Done():
		}
		l.awaitChange(ctx, conn)
	}
}

const duplicateHeader = "_AMQ_DUPL_ID"

// awaitChange returns when conn is no longer the link's connection.
func (l *Link) awaitChange(ctx context.Context, conn *stomp.Conn) {
	for {
		l.mu.Lock()
		present, changed := l.conn, l.changed
		l.mu.Unlock()
		if present != conn {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
