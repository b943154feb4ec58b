package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Dial opens a connection to the target; a func, so that a target that was started again on another port is found, and tests
// need no sockets.
type Dial func(ctx context.Context) (net.Conn, error)

// Conditions are what all links suffer. The zero value is a good network.
type Conditions struct {
	// Up is from the client to the target, Down the other way.
	Up, Down Direction
	// Refuse ends new connections at once, before the target hears of them.
	Refuse bool
}

// Direction is what the bytes of one direction suffer.
type Direction struct {
	// Hold keeps everything back until it is lifted: both directions held are a link that hangs, one is a half-open link.
	Hold bool
	// Delay is how long each byte is under way, Jitter how much longer it may be. Order is kept.
	Delay, Jitter time.Duration
	// BytesPerSecond limits the rate; 0 does not.
	BytesPerSecond int
	// Piece is the most bytes that arrive at once; 0 is as they come.
	Piece int
}

// Proxy passes connections on. Its methods may be called from any goroutine.
type Proxy struct {
	dial   Dial
	jitter func(time.Duration) time.Duration
	listen func() io.WriteCloser // nil when nobody listens in

	mu         sync.Mutex
	conditions Conditions
	changed    chan struct{} // closed and replaced when the conditions change
	links      map[*link]struct{}
	total      int
}

// New makes a proxy to what dial connects to. jitter draws a duration from 0 up to its argument: seeded by who wants the same
// again.
func New(dial Dial, jitter func(time.Duration) time.Duration) *Proxy {
	return &Proxy{dial: dial, jitter: jitter, changed: make(chan struct{}), links: map[*link]struct{}{}}
}

// ListenIn makes every later link write what its client sends to a writer of its own too, before the target has it, and close
// that at its end. Its errors are nobody's; a writer that waits holds up its link. To be called before Serve.
func (p *Proxy) ListenIn(writer func() io.WriteCloser) { p.listen = writer }

// Serve takes connections from ln until ctx ends, then closes ln and all links and returns nil. An error is that of a
// listener that fails by itself.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		<-ctx.Done()
		_ = ln.Close()
	})
	for {
		client, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = client.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() { p.pass(ctx, client) })
	}
}

// pass serves one client.
func (p *Proxy) pass(serving context.Context, client net.Conn) {
	if c, _ := p.state(); c.Refuse {
		_ = client.Close()
		return
	}
	ctx, cancel := context.WithCancelCause(serving)
	defer cancel(nil)
	// A link from now on, so that Cut and Reset miss none that either end knows of.
	l := &link{client: client, cancel: cancel}
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.total++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	var err error
	// Cut and Reset do not end the dialling: a target that it has reached would see an orderly end instead of an RST.
	if l.target, err = p.dial(serving); err != nil {
		_ = client.Close() // the client sees what it would see of a target that is not there: no connection
		return
	}
	if p.listen != nil {
		ear := p.listen()
		defer ear.Close() //nolint:errcheck // its errors are nobody's
		l.ear = ear
	}
	l.run(ctx, p)
}

// Set puts conditions on all links, at once.
func (p *Proxy) Set(c Conditions) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conditions = c
	close(p.changed)
	p.changed = make(chan struct{})
}

// state is the present conditions and what is closed when they change.
func (p *Proxy) state() (Conditions, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conditions, p.changed
}

// Links is how many links there are now, and how many there have ever been.
func (p *Proxy) Links() (now, ever int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links), p.total
}

var errCut, errReset = errors.New("cut"), errors.New("reset")

// Cut ends all present links as a peer does that closes its socket, and returns how many there were. What is under way is lost.
func (p *Proxy) Cut() int { return p.end(errCut) }

// Reset ends all present links with an RST, as a machine that has crashed answers, and returns how many there were.
func (p *Proxy) Reset() int { return p.end(errReset) }

func (p *Proxy) end(cause error) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cancel(cause)
	}
	return len(p.links)
}
