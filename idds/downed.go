package idds

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// longAgo is after how long a worker's silence is history.
const longAgo = 10 * time.Minute

// noteDowned notes workers that fell silent without a last word, each once: their slices come again.
func (s *Service) noteDowned(ctx context.Context, workers []document.Worker, now time.Time) error {
	var fresh []document.Worker
	downed := map[string]time.Time{}
	for _, w := range workers {
		if w.Alive || w.Phase == document.WorkerEnded || now.Sub(w.LastSeen) > w.SilentAfter(s.cfg.WorkerSilence)+longAgo {
			continue
		}
		downed[w.PilotID] = w.LastSeen
		if !s.downed[w.PilotID].Equal(w.LastSeen) {
			fresh = append(fresh, w)
		}
	}
	if len(fresh) > 0 {
		forEver := s.link.State().RedeliversForEver()
		if err := s.store.Update(ctx, func(tx ledger.Tx) error {
			for _, w := range fresh {
				if err := s.ledger.Down(tx, w.WorkerReport, forEver, now); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	s.downed = downed
	return nil
}
