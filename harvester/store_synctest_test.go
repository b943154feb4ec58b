package harvester_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tfpilot/harvester"
)

// fullDisk is a store that takes no workers from its second call to its tenth.
type fullDisk struct {
	harvester.Store

	calls int
}

func (f *fullDisk) Put(ctx context.Context, workers ...harvester.Worker) error {
	if f.calls++; f.calls > 1 && f.calls <= 10 {
		return errors.New("database or disk is full")
	}
	return f.Store.Put(ctx, workers...)
}

func TestADiskThatIsFullForAWhileLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		disk := &fullDisk{Store: s.store}
		s.store = disk
		s.wanted["1"] = 2
		h := s.harvester(harvester.Config{})
		ctx, cancel := context.WithCancel(s.t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		pass(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("it ended with %v", err)
		}
		if disk.calls <= 10 {
			s.t.Errorf("the disk is still full: %d calls", disk.calls)
		}
		s.expect("submissions", len(s.submissions), 1)
		for _, w := range s.live() {
			if w.State != harvester.Queued || w.BatchID == "" {
				s.t.Errorf("%+v", w)
			}
		}
		s.expect("live", len(s.live()), 2)
	})
}

func TestAStoreThatCannotBeReadAtTheStartEndsTheHarvester(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.store = unreadable{s.store}
		if err := s.harvester(harvester.Config{}).Run(s.t.Context()); !errors.Is(err, errUnreadable) {
			s.t.Errorf("it ended with %v", err)
		}
	})
}

var errUnreadable = errors.New("malformed")

// unreadable is a store that is damaged.
type unreadable struct{ harvester.Store }

func (unreadable) Live(context.Context) ([]harvester.Worker, error) { return nil, errUnreadable }
