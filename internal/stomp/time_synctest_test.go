package stomp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stomp"
)

// bubble connects a session with a configuration to a script, in fake time.
func bubble(t *testing.T, connected string, cfg stomp.Config, script func(p *peer)) *stomp.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer theirs.Close()
		p := newPeer(t, theirs)
		p.next(frame.CONNECT)
		p.send(frame.CONNECTED, "version", "1.2", "heart-beat", connected)
		script(p)
	})
	c, err := stomp.NewConn(t.Context(), ours, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		wg.Wait()
	})
	return c
}

// counted counts the heart-beats among what is read from a session: line ends between frames.
func counted(nc io.Reader, beats *int) {
	b := make([]byte, 1)
	for {
		if _, err := nc.Read(b); err != nil {
			return
		}
		if b[0] == '\n' {
			*beats++
		}
	}
}

func TestHeartBeatsGoOnWhileNobodyTakesWhatComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		beats, done := 0, make(chan struct{})
		c := bubble(t, "10000,10000", stomp.Config{HeartBeatSend: 10 * time.Second, HeartBeatReceive: 10 * time.Second}, func(p *peer) {
			sub := p.subscribed()
			for i := range 20 { // far more than the consumer takes, which is none
				p.message(sub, string(rune('a'+i)), strings.Repeat("x", 1000))
			}
			go func() { defer close(done); counted(p.nc, &beats) }()
			for range 12 {
				time.Sleep(9 * time.Second)
				if _, err := p.nc.Write([]byte("\n")); err != nil {
					t.Errorf("the session has ended: %v", err)
				}
			}
			p.nc.Close()
		})
		subscribe(t, c, stomp.SubscribeOptions{Destination: "/queue/q"})
		<-c.Done()
		<-done
		if errors.Is(c.Err(), stomp.ErrHeartBeat) {
			t.Error(c.Err())
		}
		if beats < 10 || beats > 16 {
			t.Errorf("%d beats in 108 s, want one in less than every 10 s", beats)
		}
	})
}

func TestABrokerThatFallsSilentIsLeftWithinThreeIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		c := bubble(t, "4000,0", stomp.Config{HeartBeatReceive: 5 * time.Second}, func(p *peer) {
			_, _ = io.Copy(io.Discard, p.nc)
		})
		<-c.Done()
		if took := time.Since(started); !errors.Is(c.Err(), stomp.ErrHeartBeat) || took < 10*time.Second || took > 15*time.Second {
			t.Errorf("%v after %s", c.Err(), took)
		}
	})
}

func TestABrokerThatPromisesNoHeartBeatsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "0,0", stomp.Config{}, func(p *peer) { _, _ = io.Copy(io.Discard, p.nc) })
		time.Sleep(24 * time.Hour)
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
}

// The other direction: what we write is not taken. Heart-beats still come in, but the broker hears nothing from us.
func TestALinkThatTakesNothingMoreIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		c := bubble(t, "1000,1000", stomp.Config{HeartBeatSend: time.Second, HeartBeatReceive: time.Second}, func(p *peer) {
			tick := time.NewTicker(900 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = p.nc.Write([]byte("\n"))
				case <-stop:
					return
				}
			}
		})
		started := time.Now()
		<-c.Done()
		if took := time.Since(started); took > 4*time.Second {
			t.Errorf("%v after %s", c.Err(), took)
		}
		close(stop)
	})
}

func TestARequestThatIsNotAnsweredEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "0,0", stomp.Config{ReceiptLimit: time.Minute}, func(p *peer) { _, _ = io.Copy(io.Discard, p.nc) })
		started := time.Now()
		r, err := c.Send(t.Context(), "/queue/q", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Wait(t.Context())
		if took := time.Since(started); !errors.Is(err, stomp.ErrNoReceipt) || took > 90*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestWaitingForAReceiptEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "0,0", stomp.Config{}, func(p *peer) { _, _ = io.Copy(io.Discard, p.nc) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := c.Send(ctx, "/queue/q", nil)
		if err == nil {
			err = r.Wait(ctx)
		}
		if !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
			t.Errorf("%v, session %v", err, c.Err())
		}
	})
}

func TestConnectingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := stomp.NewConn(ctx, ours, stomp.Config{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
