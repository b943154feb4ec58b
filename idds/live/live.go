package live

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/idds"
	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
)

const (
	// every is the time between two boards while something changes, idle while nothing does: silence is a change too.
	every, idle = 300 * time.Millisecond, time.Second
	// dearly is how often the store is asked what no transaction tells.
	dearly = time.Second
	// mostSpaces bounds the namespaces that are remembered: anybody may ask for any.
	mostSpaces = 64
)

// Config is what a feed needs.
type Config struct {
	Service *idds.Service
	Store   ledger.Store
	// Namespace is the service's own.
	Namespace string
	// Programs are those of a namespace that say of themselves that they are alive, but for pilots; none when nil. It asks no store:
	// it is called often.
	Programs func(ctx context.Context, namespace string) []document.Component
	Log      *slog.Logger
}

// Feed makes boards.
type Feed struct {
	cfg Config

	mu     sync.Mutex
	spaces map[string]*space
	wake   chan struct{} // somebody looks
	old    chan struct{} // there are runs of which the store is to be asked
	over   chan struct{} // closed when Run has ended
}

// New makes a feed.
func New(cfg Config) *Feed {
	if cfg.Log == nil {
		cfg.Log = logging.Discard()
	}
	f := &Feed{
		cfg: cfg, spaces: map[string]*space{}, wake: make(chan struct{}, 1), old: make(chan struct{}, 1), over: make(chan struct{}),
	}
	f.spaces[cfg.Namespace] = newSpace(cfg.Namespace) // what happens in it is heard from the first moment
	return f
}

// Hear is for [commits.Watch].
func (f *Feed) Hear(c commits.Commit) {
	if c.Err != nil {
		return
	}
	now := f.cfg.Service.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.spaces {
		if s.hear(&c, now) {
			poke(f.old)
		}
	}
}

// space is the namespace of a name, made when it is new.
func (f *Feed) space(name string) *space {
	name = cmp.Or(name, f.cfg.Namespace)
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.spaces[name]
	if s == nil {
		if len(f.spaces) >= mostSpaces {
			f.forget()
		}
		s = newSpace(name)
		f.spaces[name] = s
	}
	s.lookedAt = time.Now()
	return s
}

// forget drops the namespace that nobody has looked at for longest.
func (f *Feed) forget() {
	var oldest *space
	for _, s := range f.spaces {
		if s.watchers == 0 && s.name != f.cfg.Namespace && (oldest == nil || s.lookedAt.Before(oldest.lookedAt)) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(f.spaces, oldest.name)
	}
}

// Run makes boards for those who follow until ctx ends. It returns nil then.
func (f *Feed) Run(ctx context.Context) error {
	defer close(f.over)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.makeBoards(ctx) })
	g.Go(func() error { return f.recall(ctx) })
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// makeBoards makes those of the namespaces that somebody follows.
func (f *Feed) makeBoards(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		watched := f.watched()
		if len(watched) == 0 {
			select {
			case <-f.wake:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for _, s := range watched {
			if err := f.publish(ctx, s); err != nil && ctx.Err() == nil {
				f.cfg.Log.DebugContext(ctx, "making a board", slog.String("namespace", s.name), logging.Err(err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watched are the namespaces that somebody follows.
func (f *Feed) watched() (out []*space) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.spaces {
		if s.watchers > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Board is what is to be seen at a glance of a namespace; the service's own when it is empty.
func (f *Feed) Board(ctx context.Context, namespace string) (document.Board, error) {
	s := f.space(namespace)
	if err := s.take(ctx); err != nil {
		return document.Board{}, err
	}
	defer s.release()
	if err := f.make(ctx, s, every); err != nil {
		return document.Board{}, err
	}
	return s.made, nil
}
