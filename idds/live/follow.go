package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// beat is how often a watcher hears that the line is alive.
const beat = 10 * time.Second

// mostPicture is how large the histograms of a run may be to be sent whenever they change.
const mostPicture = 1 << 20

// Follow hands over what happens in a namespace, the service's own when it is empty, until ctx ends, send returns an error, or the feed
// ends, which it says. Whoever is slow gets the latest when he comes back; a board that he has seen already, by its id, he does not get.
func (f *Feed) Follow(ctx context.Context, namespace, seen string, send func(document.Event) error) error {
	s := f.space(namespace)
	f.join(s)
	defer f.leave(s)
	at := place{board: seen, pictures: map[string]int{}}
	quiet := time.NewTimer(beat)
	defer quiet.Stop()
	for {
		f.mu.Lock()
		events, news := at.next(s), s.news
		f.mu.Unlock()
		for _, e := range events {
			if err := send(e); err != nil {
				return err
			}
		}
		quiet.Reset(beat)
		select {
		case <-news:
		case <-quiet.C:
			if err := send(document.Event{}); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-f.over:
			return send(f.Bye("the service stops", true))
		}
	}
}

// Bye is the last event of a stream.
func (*Feed) Bye(reason string, back bool) document.Event {
	b, _ := json.Marshal(document.ByeEvent{Reason: reason, Back: back}) // of two plain fields
	return document.Event{Name: document.EventBye, Data: b}
}

func (f *Feed) join(s *space) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spaces[s.name] = s // it may have been forgotten meanwhile
	if s.watchers++; s.watchers == 1 {
		s.event, s.pictures = document.Event{}, map[string]picture{} // old ones
	}
	poke(f.wake)
}

func (f *Feed) leave(s *space) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.watchers--
}

// Watchers is how many follow a board.
func (f *Feed) Watchers() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.spaces {
		n += s.watchers
	}
	return n
}

// place is how far a watcher is.
type place struct {
	board    string
	pictures map[string]int
}

// next is what he has not seen, the latest of each kind.
func (p *place) next(s *space) (out []document.Event) {
	if s.event.Name != "" && s.event.ID != p.board {
		p.board = s.event.ID
		out = append(out, s.event)
	}
	for _, id := range slices.Sorted(maps.Keys(s.pictures)) {
		if pic := s.pictures[id]; pic.number != p.pictures[id] {
			p.pictures[id] = pic.number
			out = append(out, pic.event)
		}
	}
	return out
}

// publish makes the board of a namespace that somebody follows, and tells of what is new.
func (f *Feed) publish(ctx context.Context, s *space) error {
	f.mu.Lock()
	age := idle
	if s.changed {
		age = 0
	}
	f.mu.Unlock()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if err := f.make(ctx, s, age); err != nil {
		return err
	}
	told, err := encoded(s.made)
	if err != nil {
		return err
	}
	asking, stop := s.asking(ctx)
	pictures := f.draw(asking, s)
	stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	same := s.event.Name != "" && slices.Equal(told, s.told)
	if same && len(pictures) == 0 {
		return nil
	}
	if !same {
		data, err := json.Marshal(s.made)
		if err != nil {
			return fmt.Errorf("encoding a board: %w", err)
		}
		s.told, s.event = told, document.Event{Name: document.EventBoard, ID: strconv.FormatInt(s.made.At.UnixMicro(), 10), Data: data}
	}
	maps.Copy(s.pictures, pictures)
	s.tell()
	return nil
}

// encoded is a board but for when it was made.
func encoded(b document.Board) ([]byte, error) {
	b.At, b.Health.At = time.Time{}, time.Time{}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding a board: %w", err)
	}
	return text, nil
}

// draw makes the histograms anew that have changed, of runs that are not over and of the first on the board, each once a second at most.
func (f *Feed) draw(ctx context.Context, s *space) map[string]picture {
	out := map[string]picture{}
	for i := range s.made.Runs {
		r := &s.made.Runs[i]
		id := ledger.Text(r.RunID)
		f.mu.Lock()
		last, drawn := s.pictures[id]
		f.mu.Unlock()
		if i > 0 && r.State == document.RunClosed && !drawn || last.at == r.HistogramsAt || time.Since(last.madeAt) < time.Second {
			continue
		}
		e, err := f.picture(ctx, s.name, r)
		if err != nil {
			continue // the store is away: next time
		}
		pic := picture{at: r.HistogramsAt, madeAt: time.Now(), number: last.number, event: e}
		if !slices.Equal(e.Data, last.event.Data) && e.Data != nil {
			pic.number++
		}
		out[id] = pic
	}
	return out
}

// picture is the event of a run's histograms; without data when it has none.
func (f *Feed) picture(ctx context.Context, namespace string, r *document.BoardRun) (document.Event, error) {
	set, err := f.cfg.Store.MergedHistograms(ctx, namespace, r.RunID)
	if err != nil || len(set) == 0 {
		return document.Event{}, err
	}
	doc := document.HistogramsEvent{RunID: r.RunID, Namespace: namespace, At: r.HistogramsAt}
	if doc.Histograms, err = json.Marshal(set); err != nil {
		return document.Event{}, fmt.Errorf("encoding histograms: %w", err)
	}
	if len(doc.Histograms) > mostPicture {
		doc.Omitted, doc.Histograms = true, nil
	}
	data, err := json.Marshal(doc)
	return document.Event{Name: document.EventHistograms, Data: data}, err
}
