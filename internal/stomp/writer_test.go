package stomp_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stomp"
)

// The writer swaps two buffers while senders go on: every frame has to arrive once, whole, and answered.
func TestFramesOfManySendersArriveWhole(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 500
	bodies := make(chan string, senders*each)
	c := pipe(t, plain, func(p *peer) {
		defer close(bodies)
		for f := p.read(); f != nil; f = p.read() {
			if f.Command == frame.SEND {
				bodies <- string(f.Body)
			}
			p.receipt(f)
		}
	})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d/%d:%s", s, i, strings.Repeat("x", i))
				r, err := c.Send(soon(t), "/queue/q", []byte(body))
				if err == nil {
					err = r.Wait(soon(t))
				}
				if err != nil {
					t.Errorf("%d/%d: %v", s, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := c.Disconnect(soon(t)); err != nil && !errors.Is(err, stomp.ErrClosed) {
		t.Error(err)
	}
	seen := map[string]bool{}
	for body := range bodies {
		seen[body] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d different bodies arrived, want %d", len(seen), senders*each)
	}
}

// A wake that finds nothing queued must not leave both sides with the same buffer: what is queued while the next frame is on
// its way out would overwrite it.
func TestAWakeForNothingLeavesTwoBuffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, bodies := make(chan struct{}), make(chan string, 4)
		c := bubble(t, "0,0", stomp.Config{}, func(p *peer) {
			defer close(bodies)
			first := p.next(frame.SEND)
			p.receipt(first)
			<-read
			for f := p.read(); f != nil; f = p.read() {
				bodies <- string(f.Body)
				p.receipt(f)
			}
		})
		send := func(body string) *stomp.Receipt {
			r, err := c.Send(soon(t), "/queue/q", []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return r
		}
		send("so that there are buffers")
		c.WakeForNothing()
		synctest.Wait()
		receipts := []*stomp.Receipt{send("on its way"), send("overwrites")}
		close(read)
		for _, r := range receipts {
			if err := r.Wait(soon(t)); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close()
		for _, want := range []string{"on its way", "overwrites"} {
			if got := <-bodies; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}
