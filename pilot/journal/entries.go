package journal

import (
	"iter"
	"slices"
	"time"

	"tfpilot/pilot"
)

// entries are the attempts of each slice that something is known of.
type entries map[key][]*entry

type key struct{ run, identity string }

type entry struct {
	record

	adopted   bool // of a pilot before us: not ours to count
	published bool // the broker has it; not on disk, because a result that is sent again changes nothing
}

func (e *entry) key() key    { return key{e.Run, e.Identity} }
func (e *entry) ended() bool { return e.Op == opOutcome }
func (e *entry) old() bool   { return time.Since(time.Unix(e.At, 0)) > keepFor }

func (all entries) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, attempts := range all {
			for _, e := range attempts {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// find is the entry of one attempt, nil when there is none.
func (all entries) find(k key, attempt int) *entry {
	for _, e := range all[k] {
		if e.Attempt == attempt {
			return e
		}
	}
	return nil
}

// answer is the outcome that answers an attempt: its own, or that of an earlier one that was done.
func (all entries) answer(k pilot.JournalKey) *entry {
	var found *entry
	for _, e := range all[key{k.Run, k.Identity}] {
		if e.ended() && (e.Attempt == k.Attempt || e.Done && e.Attempt < k.Attempt) && (found == nil || e.Done) {
			found = e
		}
	}
	return found
}

// put sets the entry of an attempt.
func (all entries) put(e *entry) {
	all.drop(e.key(), e.Attempt)
	all[e.key()] = append(all[e.key()], e)
}

func (all entries) drop(k key, attempt int) {
	all.remove(k, func(e *entry) bool { return e.Attempt == attempt })
}

func (all entries) remove(k key, which func(*entry) bool) {
	if left := slices.DeleteFunc(all[k], which); len(left) > 0 {
		all[k] = left
	} else {
		delete(all, k)
	}
}

// expire forgets what nobody asks for any more.
func (all entries) expire() {
	for k := range all {
		all.remove(k, func(e *entry) bool { return e.old() && (e.adopted || e.published) })
	}
}

// apply does what a record says.
func (all entries) apply(rec record) {
	if e := (&entry{record: rec}); rec.Op == opDropped {
		all.drop(e.key(), rec.Attempt)
	} else {
		all.put(e)
	}
}
