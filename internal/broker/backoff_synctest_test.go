package broker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/stomp"
)

// attempts are the times at which a link tries to connect while nobody answers.
func attempts(t *testing.T, during time.Duration) []time.Duration {
	t.Helper()
	var at []time.Duration
	started := time.Now()
	l, err := broker.New(broker.Config{
		Addrs: []string{"a:1"},
		Dial: func(context.Context, string) (*stomp.Conn, error) {
			at = append(at, time.Since(started))
			return nil, errors.New("refused")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	if err := l.Run(ctx); err != nil {
		t.Error(err)
	}
	return at
}

func TestWaitsGrowToThreeSecondsInTheFirstMinuteAndToThirtyAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := attempts(t, 30*time.Minute)
		early, late, longest := time.Duration(0), 0, time.Duration(0)
		for i := 1; i < len(at); i++ {
			gap := at[i] - at[i-1]
			if at[i] < time.Minute {
				early = max(early, gap)
			} else if at[i-1] > time.Minute {
				late++
				longest = max(longest, gap)
			}
		}
		if early > 3*time.Second || early < time.Second {
			t.Errorf("waited up to %s in the first minute", early)
		}
		if longest > 30*time.Second || longest < 15*time.Second || late < 60 {
			t.Errorf("waited up to %s after it, %d times", longest, late)
		}
	})
}

// A thousand pilots that lose one broker must not come back at the same moment.
func TestNoTwoLinksWaitTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 20 {
			if at := attempts(t, 10*time.Second); len(at) > 2 {
				seen[at[2]] = true
			}
		}
		if len(seen) < 15 {
			t.Errorf("only %d different waits of 20", len(seen))
		}
	})
}
