package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
	"tfpilot/internal/stomp"
)

// ErrClosed is returned when Run has ended.
var ErrClosed = errors.New("broker link closed")

// Link keeps a connection alive. Its methods may be called from any goroutine, before Run too; they wait while there is no
// connection.
type Link struct {
	cfg Config
	log *slog.Logger

	joined chan struct{} // tells Run of a consumer without a subscription; holds one
	closed chan struct{} // closed when Run ends

	mu        sync.Mutex
	session   *session // nil while there is none
	state     State
	outage    time.Time     // when the last good connection ended
	changed   chan struct{} // closed and replaced at every change of state
	consumers []*Consumer
}

// New makes a link; Run connects it.
func New(cfg Config) (*Link, error) {
	cfg.Addrs = slices.Clone(cfg.Addrs)
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	now := time.Now()
	return &Link{
		cfg: cfg, log: cfg.Logger, joined: make(chan struct{}, 1), closed: make(chan struct{}), changed: make(chan struct{}),
		state: State{Since: now}, outage: now,
	}, nil
}

// Run connects, and reconnects whenever the connection is lost, until ctx ends; call it once. Then it unsubscribes the
// consumers that are still open, disconnects, and returns nil. A refusal by the broker, of the passcode say, is an outage
// like any other, because brokers refuse while they start: who wants to give up looks at State.
func (l *Link) Run(ctx context.Context) error {
	defer close(l.closed)
	wait := newBackoff(l.cfg)
	addrs := slices.Clone(l.cfg.Addrs)
	for {
		conn, addr := l.connect(ctx, wait, addrs)
		if conn == nil {
			l.down(ErrClosed)
			return nil
		}
		s := l.up(conn, addr)
		l.log.InfoContext(ctx, "connected to the broker", slog.String("addr", addr),
			slog.Uint64("generation", s.generation))
		l.serve(ctx, s)
		if ctx.Err() != nil {
			l.leave(ctx, s)
			return nil
		}
		l.down(l.place(fmt.Errorf("connected to %s: %w", addr, conn.Err())))
		l.log.WarnContext(ctx, "lost the broker", slog.String("addr", addr), logging.Err(conn.Err()))
		_ = conn.Close()
		wait.lost(s.since)
		// The last good one first, the others in their order.
		addrs = slices.Insert(slices.DeleteFunc(slices.Clone(l.cfg.Addrs), func(a string) bool { return a == addr }), 0, addr)
		if pause.For(ctx, wait.next()) != nil {
			l.down(ErrClosed)
			return nil
		}
	}
}

// connect tries the addresses in rounds; nil when ctx has ended.
func (l *Link) connect(ctx context.Context, wait *backoff, addrs []string) (conn *stomp.Conn, addr string) {
	told := map[string]complaint{}
	for {
		for _, addr := range addrs {
			l.trying(addr)
			dialCtx, cancel := context.WithTimeout(ctx, l.cfg.DialLimit)
			conn, err := l.cfg.Dial(dialCtx, addr)
			cancel()
			switch {
			case err == nil:
				return conn, addr
			case ctx.Err() != nil:
				return nil, ""
			}
			err = l.placeDial(err)
			l.down(err)
			// Once, when it changes, and as a sign of life: an outage of an hour is not a thousand lines.
			now := complaint{ownPort.ReplaceAllString(err.Error(), ""), time.Now()}
			if last := told[addr]; now.text != last.text || now.at.Sub(last.at) >= time.Minute {
				told[addr] = now
				l.log.WarnContext(ctx, "no connection to the broker", slog.String("addr", addr), logging.Err(err))
			}
		}
		if pause.For(ctx, wait.next()) != nil {
			return nil, ""
		}
	}
}

// complaint is what was last said of an address.
type complaint struct {
	text string
	at   time.Time
}

// ownPort is what differs from one attempt to the next in what the system says of it.
var ownPort = regexp.MustCompile(`[^ ]+->`)

// serve subscribes consumers on the session until it or ctx ends.
func (l *Link) serve(ctx context.Context, s *session) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		l.mu.Lock()
		consumers := slices.Clone(l.consumers)
		l.mu.Unlock()
		for _, c := range consumers {
			if c.claim(s) {
				wg.Go(func() { c.attach(ctx, s) })
			}
		}
		select {
		case <-l.joined:
		case <-s.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// leave gives back what consumers hold and says goodbye. The context has ended: a short one of its own bounds it.
func (l *Link) leave(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.LeaveLimit)
	defer cancel()
	l.mu.Lock()
	consumers := slices.Clone(l.consumers)
	l.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range consumers {
		wg.Go(func() {
			if err := c.Close(ctx); err != nil {
				l.log.WarnContext(ctx, "giving back messages", logging.Err(err))
			}
		})
	}
	wg.Wait()
	if err := s.Disconnect(ctx); err != nil {
		l.log.DebugContext(ctx, "left without goodbye", logging.Err(err))
	}
	l.down(ErrClosed)
}

// placeDial gives a failed attempt to connect its place in the table of failures.
func (l *Link) placeDial(err error) error {
	if e, refused := errors.AsType[*stomp.ServerError](err); refused && aboutLogin.MatchString(e.Error()) {
		err = exitcode.New(exitcode.NoCredential, "the broker refuses the login %q: %w", l.cfg.Login, err)
		return exitcode.WithNext(err, "check the username and the password in the configuration of this broker")
	}
	return l.place(err)
}

// aboutLogin is what brokers say of an unknown login or a wrong passcode, each in other words.
var aboutLogin = regexp.MustCompile(`(?i)security|authenti|credential|passw|passcode|login|user`)

// place gives the loss of a connection its place in the table of failures.
func (l *Link) place(err error) error {
	if _, refused := errors.AsType[*stomp.ServerError](err); refused {
		return exitcode.Wrap(exitcode.BrokerRefused, err)
	}
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return exitcode.WithNext(exitcode.Wrap(exitcode.BadConfig, err), "check the broker's certificate: its name must be that of the address, its authority one that is trusted here; and the clock")
	}
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		return exitcode.WithNext(exitcode.Wrap(exitcode.BadConfig, err), "the broker does not speak TLS at this address")
	}
	err = exitcode.Wrap(exitcode.NoBroker, err)
	if !l.cfg.TLS && errors.Is(err, io.EOF) {
		return exitcode.WithNext(err, "check that it runs and that its address is right; a broker that wants TLS hangs up like this")
	}
	return err
}
