package record

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// The states of components.
const (
	stateStarting = "STARTING"
	statePresent  = "READY"
	stateBusy     = "PROCESSING"
	stateExited   = "EXITED"
	stateSeen     = "SEEN" // sends messages, and says nothing of itself
)

const (
	// agentBeat is how often the production system's agents say that they are alive, and what is taken of who does not say.
	agentBeat = time.Minute
	// forgotten is after how long a silent component is no longer shown.
	forgotten = 24 * time.Hour
	// maxComponents is how many are known of a namespace: of more, those go that have been silent for longest.
	maxComponents = 500
)

type componentKey struct{ namespace, name string }

// component is a program as it was seen last. Its times are those of a clock that nobody sets.
type component struct {
	doc  document.Component
	seen time.Time
	// dirty says that the store knows less, stored that it knows anything.
	dirty, stored bool
}

// Report notes what a program says of itself.
func (r *Record) Report(c document.Component) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(c, time.Now())
}

// bound shortens what is too long for a document, whoever wrote it.
func bound(c *document.Component) {
	for text, most := range map[*string]int{
		&c.Name: 200, &c.Role: 50, &c.State: 50, &c.Status: 50, &c.Details: 2000, &c.RunID: 200, &c.Hostname: 300, &c.Version: 200,
	} {
		*text = ledger.Text(message.Cut(*text, most))
	}
}

// note notes a heart-beat. Of its times none counts but that at which it came. The lock is held.
func (r *Record) note(c document.Component, now time.Time) {
	c.Namespace = ledger.Text(cmp.Or(c.Namespace, r.cfg.Namespace))
	c.State = strings.ToUpper(cmp.Or(c.State, statePresent))
	bound(&c)
	wall := r.cfg.Now().UTC()
	if c.StartedAt.Sub(wall) > message.MostAhead {
		c.StartedAt = time.Time{}
	}
	c.LastSeen, c.Alive = wall, false
	c.HeartbeatSeconds = min(max(0, c.HeartbeatSeconds), time.Hour.Seconds())
	k := componentKey{c.Namespace, c.Name}
	if r.components[k] == nil {
		r.makeRoom(c.Namespace)
	}
	was := r.components[k]
	r.components[k] = &component{doc: c, seen: now, dirty: true, stored: was != nil && was.stored}
}

// sender notes that somebody sends messages: all that is known of who does not speak of himself. The lock is held.
func (r *Record) sender(namespace, name, run string, now time.Time) {
	if name == r.self {
		return
	}
	c := r.components[componentKey{namespace, name}]
	if c == nil {
		role, _, agent := strings.Cut(name, "-agent-") // as the production system names them
		if !agent {
			role = "sender"
		}
		r.note(document.Component{Namespace: namespace, Name: name, Role: role, State: stateSeen, RunID: run}, now)
		return
	}
	c.seen, c.doc.LastSeen = now, r.cfg.Now().UTC()
	if c.doc.State == stateSeen {
		c.doc.RunID = run
	}
	c.dirty = true
}

// makeRoom drops whoever has been silent for longest when there are too many. The lock is held.
func (r *Record) makeRoom(namespace string) {
	n := 0
	var silent componentKey
	for k, c := range r.components {
		if k.namespace != namespace {
			continue
		}
		if n++; silent.name == "" || c.seen.Before(r.components[silent].seen) {
			silent = k
		}
	}
	if n >= maxComponents {
		r.drop(silent)
	}
}

// drop forgets a component; the store forgets it with the next write. The lock is held.
func (r *Record) drop(k componentKey) {
	if r.components[k].stored {
		r.gone[k] = true
	}
	delete(r.components, k)
}

// load reads what was known before a restart. A time ahead of ours is of a clock that was set back since.
func (r *Record) load(ctx context.Context) error {
	list, err := r.store.Components(ctx, "")
	if err != nil {
		return err
	}
	now, wall := time.Now(), r.cfg.Now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range list {
		k := componentKey{c.Namespace, c.Name}
		if r.components[k] == nil {
			r.components[k] = &component{doc: c, seen: now.Add(-max(0, wall.Sub(c.LastSeen))), stored: true}
		}
	}
	return nil
}

// write keeps the store's copy near what is known, and writes it once more at the end.
func (r *Record) write(ctx context.Context) error {
	t := time.NewTicker(r.cfg.WriteEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := r.flush(ctx); err != nil && !errors.Is(err, ledger.ErrUnavailable) && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = r.flush(last) // what it does not have will be said again
			return ctx.Err()
		}
	}
}

// flush writes what the store does not know. What could not be written is tried again the next time.
func (r *Record) flush(ctx context.Context) error {
	changed, gone := r.news()
	if len(changed)+len(gone) == 0 {
		return nil
	}
	err := r.store.Update(ctx, func(tx ledger.Tx) error {
		for _, k := range gone { // one of them may have come back
			if err := tx.DropDocument(ledger.Components, k.namespace, k.name); err != nil {
				return err
			}
		}
		for i := range changed {
			if err := tx.PutDocument(ledger.Components, changed[i], changed[i].Namespace, changed[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range changed {
		if c := r.components[componentKey{changed[i].Namespace, changed[i].Name}]; c != nil {
			c.dirty, c.stored = c.dirty || err != nil, c.stored || err == nil
		}
	}
	if err == nil {
		for _, k := range gone {
			delete(r.gone, k)
		}
	}
	return err
}

// news are what the store does not know. Who has been silent for a day is forgotten.
func (r *Record) news() (changed []document.Component, gone []componentKey) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, c := range r.components {
		switch {
		case now.Sub(c.seen) > forgotten:
			r.drop(k)
		case c.dirty:
			changed = append(changed, c.doc)
			c.dirty = false
		}
	}
	for k := range r.gone {
		gone = append(gone, k)
	}
	return changed, gone
}
