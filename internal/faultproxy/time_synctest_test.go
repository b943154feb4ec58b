package faultproxy_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/faultproxy"
)

// pipes is a listener of one connection.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestDelayAndRateAreWhatWasAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    faultproxy.Direction
		want time.Duration
	}{
		"none":  {faultproxy.Direction{}, 0},
		"delay": {faultproxy.Direction{Delay: 300 * time.Millisecond}, 300 * time.Millisecond},
		"rate":  {faultproxy.Direction{BytesPerSecond: 1000}, 4 * time.Second},
		"both":  {faultproxy.Direction{Delay: time.Second, BytesPerSecond: 4000}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, near := net.Pipe()
				far, target := net.Pipe()
				p := faultproxy.New(func(context.Context) (net.Conn, error) { return far, nil }, rand.N[time.Duration])
				ln := pipes{make(chan net.Conn, 1), make(chan struct{})}
				ln.conns <- near
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.Serve(ctx, ln) }()
				p.Set(faultproxy.Conditions{Up: c.d})
				started := time.Now()
				go func() { _, _ = client.Write(make([]byte, 4000)) }()
				if _, err := io.ReadFull(target, make([]byte, 4000)); err != nil {
					t.Error(err)
				}
				if took := time.Since(started); took != c.want {
					t.Errorf("took %s, want %s", took, c.want)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				_, _ = client.Close(), target.Close()
			})
		})
	}
}
