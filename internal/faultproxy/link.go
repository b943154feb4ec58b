package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"tfpilot/internal/pause"
)

const (
	// chunk is how much is read at once.
	chunk = 16 << 10
	// underWay bounds the chunks between reading and writing: what a long, slow line holds.
	underWay = 64
)

// link is one client with its connection to the target.
type link struct {
	client, target net.Conn
	cancel         context.CancelCauseFunc
	ear            io.Writer // hears what the target gets; may be nil
}

// parcel is bytes with the time at which they arrive; no bytes are the end of the stream.
type parcel struct {
	bytes []byte
	due   time.Time
}

// run passes bytes both ways until both directions have ended, one of them has failed, or ctx ends.
func (l *link) run(ctx context.Context, p *Proxy) {
	var wg sync.WaitGroup
	up := func(c Conditions) Direction { return c.Up }
	down := func(c Conditions) Direction { return c.Down }
	var target io.Writer = l.target
	if l.ear != nil {
		target = heard{l.ear, l.target}
	}
	wg.Go(func() { l.carry(ctx, p, l.client, l.target, target, up) })
	wg.Go(func() { l.carry(ctx, p, l.target, l.client, l.client, down) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wg.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), errReset) {
		linger0(l.client)
		linger0(l.target)
	}
	_ = l.client.Close()
	_ = l.target.Close()
	<-ended
}

// linger0 makes the coming Close an RST.
func linger0(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// heard is a connection with somebody who hears what is written to it, just before.
type heard struct {
	ear io.Writer
	to  net.Conn
}

func (h heard) Write(b []byte) (int, error) {
	_, _ = h.ear.Write(b) // its errors are nobody's
	return h.to.Write(b)
}

// carry brings bytes from one end to the other, through a writer, under the conditions of its direction. The end of the stream
// is passed on as such; an error ends the link.
func (l *link) carry(ctx context.Context, p *Proxy, from, to net.Conn, through io.Writer, direction func(Conditions) Direction) {
	parcels := make(chan parcel, underWay)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(parcels)
		if err := receive(ctx, p, from, parcels, direction); err != nil && !errors.Is(err, io.EOF) {
			l.cancel(err)
		}
	})
	if err := deliver(ctx, p, through, parcels, direction); err != nil {
		l.cancel(err)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	} else {
		l.cancel(nil)
	}
}

// receive reads until the stream ends.
func receive(ctx context.Context, p *Proxy, from net.Conn, parcels chan<- parcel, direction func(Conditions) Direction) error {
	var last time.Time
	for {
		b := make([]byte, chunk)
		n, err := from.Read(b)
		if n > 0 {
			c, _ := p.state()
			d := direction(c)
			due := time.Now().Add(d.Delay)
			if d.Jitter > 0 {
				due = due.Add(p.jitter(d.Jitter))
			}
			if due.Before(last) {
				due = last // a stream keeps its order
			}
			last = due
			select {
			case parcels <- parcel{b[:n], due}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}

// deliver writes what has been received, when it is due and nothing holds it.
func deliver(ctx context.Context, p *Proxy, to io.Writer, parcels <-chan parcel, direction func(Conditions) Direction) error {
	for {
		var next parcel
		var more bool
		select {
		case next, more = <-parcels:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := release(ctx, p, next.due, direction); err != nil || !more {
			return err // also the end of the stream waits as long as the link is held
		}
		for len(next.bytes) > 0 {
			c, _ := p.state()
			d := direction(c)
			n := len(next.bytes)
			if d.Piece > 0 {
				n = min(n, d.Piece)
			}
			if d.BytesPerSecond > 0 {
				n = min(n, max(1, d.BytesPerSecond/20))
				if err := pause.For(ctx, time.Duration(n)*time.Second/time.Duration(d.BytesPerSecond)); err != nil {
					return err
				}
			}
			if err := release(ctx, p, time.Time{}, direction); err != nil {
				return err
			}
			if _, err := to.Write(next.bytes[:n]); err != nil {
				return err
			}
			next.bytes = next.bytes[n:]
		}
	}
}

// release waits until the time is due and the direction is not held.
func release(ctx context.Context, p *Proxy, due time.Time, direction func(Conditions) Direction) error {
	if wait := time.Until(due); wait > 0 {
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
	for {
		c, changed := p.state()
		if !direction(c).Hold {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
