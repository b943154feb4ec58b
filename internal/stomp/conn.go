package stomp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// Errors of a connection's end.
var (
	// ErrClosed is the end by Close or Disconnect.
	ErrClosed = errors.New("connection closed")
	// ErrHeartBeat is the end because the broker was silent for too long.
	ErrHeartBeat = errors.New("no heart-beat from the broker")
)

// ServerError is an ERROR frame. Artemis closes the connection after it.
type ServerError struct {
	Message, Body, ReceiptID string
}

func (e *ServerError) Error() string {
	if e.Body == "" || e.Body == e.Message {
		return "broker: " + e.Message
	}
	return fmt.Sprintf("broker: %s: %.300s", e.Message, e.Body)
}

// Config is how to connect. The zero value connects without credentials.
type Config struct {
	Login, Passcode string
	// Host is the virtual host; the dialled host when empty.
	Host     string
	ClientID string
	// HeartBeatSend and HeartBeatReceive are what we offer and ask for (default 10 s each).
	HeartBeatSend, HeartBeatReceive time.Duration
	Limits                          stompframe.Limits
	// TLS is used by Dial when not nil.
	TLS    *tls.Config
	Logger *slog.Logger
}

// tolerance is how many intervals of silence end a connection: ActiveMQ Classic sends its first beat after two.
const tolerance = 2.5

// connectLimit bounds CONNECT when the context has no deadline.
const connectLimit = 20 * time.Second

// Conn is a connected session. Its methods may be called from any goroutine.
type Conn struct {
	nc      net.Conn
	version string
	log     *slog.Logger

	out    chan *frame.Frame
	done   chan struct{}
	once   sync.Once
	err    error // set before done is closed
	wg     sync.WaitGroup
	lastRx atomic.Int64 // nanoseconds since start
	start  time.Time

	mu       sync.Mutex
	nextID   uint64
	receipts map[string]*Receipt
	subs     map[string]*Subscription
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
	return NewConn(ctx, nc, cfg)
}

// NewConn does the CONNECT on an open connection. The connection is closed on any error.
func NewConn(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c, err := connect(nc, cfg)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	return c, nil
}

func connect(nc net.Conn, cfg Config) (*Conn, error) {
	send := cmp.Or(cfg.HeartBeatSend, 10*time.Second)
	receive := cmp.Or(cfg.HeartBeatReceive, 10*time.Second)
	f := frame.New(frame.CONNECT,
		frame.AcceptVersion, "1.1,1.2", frame.Host, cmp.Or(cfg.Host, "localhost"),
		frame.HeartBeat, strconv.FormatInt(send.Milliseconds(), 10)+","+strconv.FormatInt(receive.Milliseconds(), 10))
	if cfg.Login != "" {
		f.Header.Add(frame.Login, cfg.Login)
		f.Header.Add(frame.Passcode, cfg.Passcode)
	}
	if cfg.ClientID != "" {
		f.Header.Add("client-id", cfg.ClientID)
	}
	w, r := stompframe.NewWriter(nc), stompframe.NewReader(nc, cfg.Limits)
	if err := w.Write(f); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	answer, err := r.Read()
	for err == nil && answer == nil {
		answer, err = r.Read()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	switch answer.Command {
	case frame.CONNECTED:
	case frame.ERROR:
		return nil, serverError(answer)
	default:
		return nil, fmt.Errorf("the answer is %q, not CONNECTED", answer.Command)
	}
	version := cmp.Or(answer.Header.Get(frame.Version), "1.0")
	if version != "1.1" && version != "1.2" {
		return nil, fmt.Errorf("the broker speaks STOMP %s only", version)
	}
	c := &Conn{
		nc: nc, version: version, log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)), start: time.Now(),
		out: make(chan *frame.Frame, 256), done: make(chan struct{}),
		receipts: map[string]*Receipt{}, subs: map[string]*Subscription{},
	}
	theirSend, theirReceive, err := frame.ParseHeartBeat(cmp.Or(answer.Header.Get(frame.HeartBeat), "0,0"))
	if err != nil {
		return nil, fmt.Errorf("heart-beat of the broker: %w", err)
	}
	// 0 on either side means none in that direction (STOMP 1.2, "Heart-beating").
	var every, silence time.Duration
	if theirReceive > 0 {
		every = max(send, theirReceive)
	}
	if theirSend > 0 {
		silence = time.Duration(tolerance * float64(max(receive, theirSend)))
	}
	c.wg.Go(func() { c.write(w, every, silence) })
	c.wg.Go(func() { c.read(r) })
	return c, nil
}

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
func (c *Conn) LastHeard() time.Time { return c.start.Add(time.Duration(c.lastRx.Load())) }

// Close ends the connection at once. Messages that were not acknowledged go back to the broker, counted as a failed
// delivery on Artemis: unsubscribe first to give them back uncounted.
func (c *Conn) Close() error {
	c.end(ErrClosed)
	c.wg.Wait()
	return nil
}

// Disconnect says goodbye with a receipt, so that everything sent before has arrived, and closes.
func (c *Conn) Disconnect(ctx context.Context) error {
	r, err := c.request(ctx, frame.New(frame.DISCONNECT))
	if err == nil {
		err = r.Wait(ctx)
	}
	_ = c.Close()
	return err
}

// end records the reason once and lets everybody know.
func (c *Conn) end(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.done)
		c.nc.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.subs {
			s.inbox.close()
		}
	})
}

// write is the only writer of the connection. It beats every interval and ends the connection after silence.
func (c *Conn) write(w *stompframe.Writer, every, silence time.Duration) {
	var beat, check <-chan time.Time
	if every > 0 {
		// A little early: the broker's patience counts from when the beat arrives.
		t := time.NewTicker(every * 4 / 5)
		defer t.Stop()
		beat = t.C
	}
	if silence > 0 {
		t := time.NewTicker(silence / 5)
		defer t.Stop()
		check = t.C
	}
	for {
		select {
		case <-c.done:
			return
		case f := <-c.out:
			// A write that blocks for as long as silence is allowed is a dead link too.
			if silence > 0 {
				_ = c.nc.SetWriteDeadline(time.Now().Add(silence))
			}
			err := w.Write(f)
			for more := true; more && err == nil; {
				select {
				case f = <-c.out:
					err = w.Write(f)
				default:
					more = false
				}
			}
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				c.end(fmt.Errorf("writing to the broker: %w", err))
				return
			}
		case <-beat:
			_ = c.nc.SetWriteDeadline(time.Now().Add(max(every, silence)))
			err := w.Write(nil)
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				c.end(fmt.Errorf("writing a heart-beat: %w", err))
				return
			}
		case <-check:
			if quiet := time.Since(c.LastHeard()); quiet > silence {
				c.end(fmt.Errorf("%w for %s", ErrHeartBeat, quiet.Round(time.Millisecond)))
				return
			}
		}
	}
}

// read hands on every frame; it waits for nobody.
func (c *Conn) read(r *stompframe.Reader) {
	for {
		f, err := r.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the broker closed the connection: %w", err)
			}
			c.end(err)
			return
		}
		c.lastRx.Store(int64(time.Since(c.start)))
		if f == nil {
			continue
		}
		switch f.Command {
		case frame.MESSAGE:
			c.deliver(f)
		case frame.RECEIPT:
			c.settle(f.Header.Get(frame.ReceiptId), nil)
		case frame.ERROR:
			e := serverError(f)
			if e.ReceiptID != "" {
				c.settle(e.ReceiptID, e)
			}
			// Classic goes on after an ERROR, Artemis does not; what a SEND or SUBSCRIBE asked for did not happen in
			// either case, and nobody knows which one when there is no receipt. A new connection is the safe answer.
			c.end(e)
			return
		default:
			c.end(fmt.Errorf("the broker sent a %s frame", f.Command))
			return
		}
	}
}

func (c *Conn) deliver(f *frame.Frame) {
	id := f.Header.Get(frame.Subscription)
	c.mu.Lock()
	s := c.subs[id]
	c.mu.Unlock()
	if s == nil {
		return // unsubscribed meanwhile: the broker has it back
	}
	ack := f.Header.Get(frame.MessageId)
	if c.version == "1.2" {
		ack = f.Header.Get(frame.Ack)
	}
	s.inbox.put(&Message{
		Destination: f.Header.Get(frame.Destination), ID: f.Header.Get(frame.MessageId), Subscription: id, AckID: ack,
		Header: f.Header, Body: f.Body,
	})
}

func serverError(f *frame.Frame) *ServerError {
	return &ServerError{Message: f.Header.Get(frame.Message), Body: string(f.Body), ReceiptID: f.Header.Get(frame.ReceiptId)}
}
