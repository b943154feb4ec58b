package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/stomp"
)

// A thousand pilots that lose both brokers of their list in the same moment: what the brokers see of them is spread, at first over
// a fifth of a second, then over seconds, and no moment has more than its share.
func TestManyLinksThatLoseTheirBrokersTogetherDoNotComeBackTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const links = 1000
		var (
			mu sync.Mutex
			at []time.Duration
		)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range links {
			l, err := broker.New(broker.Config{
				Addrs: []string{"a:1", "b:1"},
				Dial: func(_ context.Context, addr string) (*stomp.Conn, error) {
					if addr == "a:1" {
						mu.Lock()
						at = append(at, time.Since(began))
						mu.Unlock()
					}
					return nil, errors.New("refused")
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { _ = l.Run(ctx) })
		}
		all.Wait()
		slices.Sort(at)
		at = at[links:] // the first attempt of each was at the same time, by this test
		busiest := func(from, to, width time.Duration) (n int) {
			for i := range at {
				if at[i] < from || at[i] >= to {
					continue
				}
				j, _ := slices.BinarySearch(at, at[i]+width)
				n = max(n, j-i)
			}
			return n
		}
		for _, c := range []struct {
			from, to, width time.Duration
			most            int
		}{
			{0, 200 * time.Millisecond, 10 * time.Millisecond, links / 5},
			{3 * time.Second, time.Minute, 10 * time.Millisecond, links / 20},
			{70 * time.Second, 90 * time.Second, 100 * time.Millisecond, links / 20},
		} {
			if n := busiest(c.from, c.to, c.width); n > c.most {
				t.Errorf("from %s to %s there are up to %d attempts within %s, want %d at most", c.from, c.to, n, c.width, c.most)
			}
		}
	})
}
