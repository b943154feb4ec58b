package stomp_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

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
