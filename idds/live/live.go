// Package live is what watchers see of idds as it happens: the board of each namespace, made once for all who look at it.
package live

import (
	"context"

	"tfpilot/idds"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// Feed makes boards.
type Feed struct {
	service *idds.Service
	store   ledger.Store
}

// New makes a feed of a service.
func New(service *idds.Service, store ledger.Store) *Feed {
	return &Feed{service: service, store: store}
}

// shown is how many runs are on a board.
const shown = 10

// Board is what is to be seen at a glance of a namespace.
func (f *Feed) Board(ctx context.Context, namespace string) (message.Board, error) {
	health := f.service.Health(ctx)
	b := message.Board{At: health.At, Namespace: namespace, Health: health, Runs: []message.BoardRun{}, Sites: []message.BoardSite{}, Components: []message.ComponentDocument{}}
	runs, err := f.store.Runs(ctx, namespace)
	if err != nil {
		return b, err
	}
	for i := len(runs) - 1; i >= max(0, len(runs)-shown); i-- {
		doc, err := f.service.RunDocument(ctx, runs[i])
		if err != nil {
			return b, err
		}
		b.Runs = append(b.Runs, message.BoardRun{RunDocument: doc, History: []message.BoardLatency{}, Failures: []message.FailureDocument{}})
	}
	return b, nil
}
