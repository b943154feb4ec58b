package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/internal/exitcode"
)

// sick is a batch system whose commands fail as long as err is set; at is when each was run.
type sick struct {
	harvester.BatchSystem

	err     error
	at      []time.Time
	cancels int
}

func (s *sick) Queue(context.Context) ([]harvester.Job, error) {
	s.at = append(s.at, time.Now())
	return []harvester.Job{{ID: "1"}}, s.err
}

func (s *sick) Cancel(context.Context, []string) error {
	s.cancels++
	return nil
}

func TestABatchSystemInTroubleIsLeftAloneForLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sick{err: errors.New("slurmctld does not answer")}
		g := guard.New(s, guard.Config{Trip: 3, Pause: time.Minute, MaxPause: 10 * time.Minute})
		var last error
		for range 3600 {
			_, last = g.Queue(t.Context())
			time.Sleep(time.Second)
		}
		for range 2 { // the first may be the one that is let through
			_, last = g.Queue(t.Context())
		}
		// Three at once, then after 1, 2, 4, 8, 10, 10, .. minutes and up to a fifth more.
		if n := len(s.at); n < 8 || n > 11 {
			t.Errorf("%d commands in an hour of trouble", n)
		}
		if !errors.Is(last, guard.ErrPaused) || !strings.Contains(last.Error(), "slurmctld does not answer") || exitcode.From(last) != exitcode.NoBatch {
			t.Errorf("it says %v", last)
		}
		if err := g.Cancel(t.Context(), nil); err != nil || s.cancels != 1 {
			t.Errorf("another kind of command: %v", err)
		}
		s.err = nil
		time.Sleep(12 * time.Minute)
		for range 10 {
			if jobs, err := g.Queue(t.Context()); err != nil || len(jobs) != 1 {
				t.Errorf("afterwards: %v, %v", jobs, err)
			}
		}
	})
}

func TestCommandsOfAKindAreAMinimumTimeApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sick{}
		g := guard.New(s, guard.Config{MinInterval: 10 * time.Second})
		for range 5 {
			if _, err := g.Queue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range len(s.at) - 1 {
			if d := s.at[i+1].Sub(s.at[i]); d < 10*time.Second || d > 12*time.Second {
				t.Errorf("%s apart", d)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("told to stop")
		cancel(stop)
		if _, err := g.Queue(ctx); !errors.Is(err, stop) || len(s.at) != 5 {
			t.Errorf("when told to stop: %v", err)
		}
	})
}
