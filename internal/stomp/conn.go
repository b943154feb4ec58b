package stomp

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

const (
	// tolerance is how many intervals of silence end a connection: ActiveMQ Classic sends its first beat after two.
	tolerance = 2.5
	// connectLimit bounds Dial and NewConn when the context has no earlier deadline.
	connectLimit = 20 * time.Second
)

// Conn is a connected session. Its methods may be called from any goroutine.
type Conn struct {
	nc      *watched
	version version
	server  string
	log     *slog.Logger

	receiptLimit time.Duration
	maxQueued    int

	wake chan struct{} // tells the writer that out has something; holds one
	done chan struct{}
	wg   sync.WaitGroup

	// mu guards what follows. It is held for as long as it takes to append a frame, never over a wait: the reader needs it.
	mu       sync.Mutex
	out      []byte        // frames for the writer
	room     chan struct{} // closed when the writer has taken out; nil when nobody waits for that
	nextID   uint64
	receipts map[uint64]*Receipt
	subs     map[string]*Subscription
	leaving  bool  // DISCONNECT is queued
	err      error // why the connection ended; set before done is closed
}

// Dial connects to host:port. Connecting, TLS and CONNECT together are bounded by ctx, or by 20 s.
func Dial(ctx context.Context, addr string, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", addr, err)
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", addr, err)
	}
	if cfg.TLS != nil {
		conf := cfg.TLS.Clone()
		conf.ServerName = cmp.Or(conf.ServerName, host)
		tc := tls.Client(nc, conf)
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		nc = tc
	}
	cfg.Host = cmp.Or(cfg.Host, host)
	c, err := NewConn(ctx, nc, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	return c, nil
}

// NewConn does the CONNECT on an open connection, bounded as in Dial. The connection is closed on any error.
func NewConn(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	// Reads and writes of a net.Conn know deadlines, not contexts.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c, start, err := handshake(nc, cfg.withDefaults())
	if !stop() {
		err = fmt.Errorf("waiting for CONNECTED: %w", context.Cause(ctx))
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	start()
	return c, nil
}

// handshake exchanges CONNECT and CONNECTED; start starts the goroutines of the Conn.
func handshake(nc net.Conn, cfg Config) (c *Conn, start func(), err error) {
	hello, err := connectFrame(
		frame.AcceptVersion, "1.1,1.2", frame.Host, cfg.Host, frame.Login, cfg.Login,
		frame.Passcode, cfg.passcode(), "client-id", cfg.ClientID,
		frame.HeartBeat, fmt.Sprintf("%d,%d", cfg.HeartBeatSend.Milliseconds(), cfg.HeartBeatReceive.Milliseconds()))
	if err != nil {
		return nil, nil, err
	}
	if _, err := nc.Write(hello); err != nil {
		return nil, nil, fmt.Errorf("sending CONNECT: %w", err)
	}
	w := newWatched(nc)
	r := stompframe.NewReader(w, stompframe.Limits{HeaderBytes: cfg.MaxHeaderBytes, BodyBytes: cfg.MaxBodyBytes})
	answer, err := readFrame(r)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer to CONNECT: %w", err)
	}
	switch answer.Command {
	case frame.CONNECTED:
	case frame.ERROR:
		return nil, nil, serverError(answer).without(cfg.passcode(), cfg.Login)
	default:
		return nil, nil, fmt.Errorf("the answer to CONNECT is %s", answer.Command)
	}
	v := version(cmp.Or(answer.Header.Get(frame.Version), "1.0"))
	if v != v11 && v != v12 {
		return nil, nil, fmt.Errorf("the broker speaks STOMP %.10q, we 1.1 and 1.2", string(v))
	}
	theirSend, theirReceive, err := frame.ParseHeartBeat(cmp.Or(answer.Header.Get(frame.HeartBeat), "0,0"))
	if err != nil {
		return nil, nil, fmt.Errorf("heart-beat %.40q of the broker: %w", answer.Header.Get(frame.HeartBeat), err)
	}
	// 0 on either side means none in that direction (STOMP 1.2, "Heart-beating").
	var every time.Duration
	if theirReceive > 0 && cfg.HeartBeatSend > 0 {
		every = max(cfg.HeartBeatSend, theirReceive)
	}
	if theirSend > 0 && cfg.HeartBeatReceive > 0 {
		w.silence = time.Duration(tolerance * float64(max(cfg.HeartBeatReceive, theirSend)))
	}
	c = &Conn{
		nc: w, version: v, server: answer.Header.Get(frame.Server), log: cfg.Logger, receiptLimit: cfg.ReceiptLimit, maxQueued: cfg.MaxQueuedBytes,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		receipts: map[uint64]*Receipt{}, subs: map[string]*Subscription{},
	}
	return c, func() {
		c.wg.Go(func() { c.write(every) })
		c.wg.Go(func() { c.read(r) })
	}, nil
}

func (c Config) passcode() string {
	if c.Login == "" {
		return ""
	}
	return c.Passcode
}

// Version is the protocol version agreed on: 1.2 or 1.1.
func (c *Conn) Version() string { return string(c.version) }

// Server is what the broker says that it is: "ActiveMQ-Artemis/2.40.0 ...", "ActiveMQ/5.17.2", or nothing.
func (c *Conn) Server() string { return c.server }

// Done is closed when the connection has ended; then Err says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection ended, nil while it lives.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// LastHeard is when the broker last sent anything, a heart-beat included.
func (c *Conn) LastHeard() time.Time { return c.nc.lastHeard() }

// Close ends the connection at once. Messages that were not acknowledged go back to the broker, counted as a failed
// delivery on Artemis: unsubscribe first to give them back uncounted.
func (c *Conn) Close() error {
	c.end(ErrClosed)
	c.wg.Wait()
	return nil
}

// Disconnect says goodbye and closes. nil says that the broker has everything that was sent before.
func (c *Conn) Disconnect(ctx context.Context) error {
	r, err := c.request(ctx, nil, func(b []byte, r *Receipt) ([]byte, error) {
		c.leaving, r.last = true, true
		return append(b, "DISCONNECT\n"...), nil
	})
	if err == nil {
		err = r.Wait(ctx)
	}
	_ = c.Close()
	if err != nil {
		return fmt.Errorf("disconnecting: %w", err)
	}
	return nil
}

// end records the reason once and lets everybody know: who waits for a receipt, for a message, for room to send.
func (c *Conn) end(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	receipts, subs := c.receipts, c.subs
	c.receipts, c.subs, c.out = nil, nil, nil
	close(c.done)
	c.mu.Unlock()

	c.nc.Close()
	lost := c.lost()
	for _, r := range receipts {
		r.settle(lost)
	}
	for _, s := range subs {
		s.inbox.close()
	}
}

// lost is what a request gets that the end of the connection overtook.
func (c *Conn) lost() error {
	if c.err == ErrClosed { //nolint:errorlint // only the bare one: anything else is worth telling
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, c.err)
}
