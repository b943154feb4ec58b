package live

import (
	"context"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/pause"
)

// recall asks the store for the results of runs on boards that were counted before we heard of them: each run once, the first on
// the board first, and at rest for a while after each. Until then their history has less.
func (f *Feed) recall(ctx context.Context) error {
	for {
		s, r := f.unknown()
		if r == nil {
			select {
			case <-f.old:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		began := time.Now()
		if err := f.complete(ctx, s, r); err != nil {
			if err := pause.For(ctx, dearly); err != nil { // the store is away
				return err
			}
			continue
		}
		if err := pause.For(ctx, 2*time.Since(began)); err != nil {
			return err
		}
	}
}

// unknown is a run on a board of which we do not know all.
func (f *Feed) unknown() (*space, *run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.spaces {
		if !s.loaded { // nobody has looked at it
			continue
		}
		for _, r := range s.onBoard() {
			if !r.whole {
				return s, r
			}
		}
	}
	return nil, nil
}

func (f *Feed) complete(ctx context.Context, s *space, r *run) error {
	f.mu.Lock()
	before, files, until := newHistory(r.times.begin), &run{files: map[uint64]struct{}{}}, r.since
	id := r.RunID.String()
	f.mu.Unlock()
	if err := f.cfg.Store.Outcomes(ctx, s.name, id, func(o ledger.Outcome) {
		files.file(o.Filename)
		if !o.CreatedAt.After(until) {
			before.came(o.CreatedAt)
		}
		if !o.EndedAt.IsZero() && !o.EndedAt.After(until) {
			before.went(o.EndedAt)
		}
		if !o.DoneAt.IsZero() && !o.DoneAt.After(until) {
			before.count(o)
		}
	}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.complete(before, files.files)
	s.changed = true
	return nil
}
