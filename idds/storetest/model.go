package storetest

import "time"

// expected is what the rules say of one slice: the sets of attempts that were sent and that ended.
type expected struct {
	sent, failed, lost map[int]bool
	asked              map[int]time.Time // when an attempt was asked for, if its slice was the first to tell of it
	known              map[int]bool      // attempts that anything told of
	done               bool
	final              bool            // failed for good before it was done
	unsent             int             // the attempt that was decided on when a crash left open whether it was sent, or 0
	downed             map[string]bool // pilots that fell silent with it
	events             int64
}

// model is what the rules say of a run.
type model struct {
	slices map[string]*expected
	total  int // announced; 0 when not

	ended, closed      bool
	endedAt, lastSlice time.Time

	stopped bool // another's stop was seen, where that is his duty

	// known says that a slice, an announcement or an end has told of the run; heard is when anything came last while that is not so.
	known bool
	heard time.Time

	absorbed, corrected, unmatched, actors int
}

// of is a slice that a message told of. An unknown one opens a closed run again.
func (m *model) of(identity string) *expected {
	e := m.slices[identity]
	if e == nil {
		e = &expected{sent: map[int]bool{}, failed: map[int]bool{}, lost: map[int]bool{}, asked: map[int]time.Time{}, known: map[int]bool{}, downed: map[string]bool{}}
		m.slices[identity] = e
		m.closed = false
	}
	return e
}

// tell notes that there is a run, whose slices come or are announced.
func (m *model) tell() { m.known, m.heard = true, time.Time{} }

// hear notes a result, or another's stop, which say nothing of whether there is a run.
func (m *model) hear(at time.Time) {
	if !m.known {
		m.heard = at
	}
}

// expire ends what is left of a run of which nobody has told for its time, and forgets one that has no slices.
func (m *model) expire(now time.Time) {
	if m.known || m.heard.IsZero() || now.Sub(m.heard) <= runTimeout {
		return
	}
	if len(m.slices) == 0 {
		*m = model{slices: m.slices, actors: m.actors}
		return
	}
	for _, e := range m.slices {
		e.final = e.final || !e.done
	}
}

// publish notes an attempt's slice message.
func (e *expected) publish(n int, at time.Time) {
	if !e.known[n] {
		e.asked[n] = at
	}
	e.sent[n], e.known[n] = true, true
	e.confirm(n)
}

// confirm notes that the broker has an attempt.
func (e *expected) confirm(n int) {
	if e.unsent == n {
		e.unsent = 0
	}
}

// open reports whether an attempt was sent and has not ended.
func (e *expected) open(n int) bool {
	return e.sent[n] && !e.failed[n] && !e.lost[n] && !e.done && !e.final
}

// lose gives an attempt up.
func (e *expected) lose(n int) {
	if e.open(n) {
		e.lost[n] = true
		e.confirm(n)
		e.settle(true)
	}
}

// down notes that a pilot fell silent with an attempt. Where the broker redelivers for ever the third ends the slice.
func (e *expected) down(pilot string, n int, forEver bool) {
	if !e.open(n) || e.downed[pilot] || len(e.downed) >= maxAttempts && !forEver {
		return
	}
	e.downed[pilot] = true
	if forEver && len(e.downed) >= maxAttempts {
		e.lost[n], e.final, e.unsent = true, true, 0
	}
}

// latest is the highest attempt that anybody has heard of.
func (e *expected) latest() (n int) {
	for a := range e.known {
		n = max(n, a)
	}
	return n
}

func (e *expected) outstanding() bool {
	for a := range e.sent {
		if !e.failed[a] && !e.lost[a] {
			return true
		}
	}
	return false
}

// settle makes the slice final when nothing of it is outstanding and the last end allows no other attempt.
func (e *expected) settle(retryable bool) {
	if !e.done && !e.outstanding() && (!retryable || e.latest() >= maxAttempts) {
		e.final = true
	}
}

// finish notes a good result.
func (m *model) finish(e *expected, n int, events int64) {
	e.confirm(n)
	switch {
	case e.done:
		m.absorbed++
	default:
		if e.final {
			m.corrected++
		}
		e.done, e.events = true, events
	}
	e.known[n] = true
}

// fail notes a bad one.
func (m *model) fail(e *expected, n int, retryable bool) {
	e.known[n] = true
	e.confirm(n)
	if e.done || e.failed[n] {
		m.absorbed++
		return
	}
	e.failed[n] = true
	e.settle(retryable)
}

// close ends the run if the rules say so.
func (m *model) close(now time.Time) {
	if !m.ended || m.closed {
		return
	}
	over := now.Sub(m.endedAt) > runTimeout
	for _, e := range m.slices {
		switch {
		case e.done || e.final:
		case over:
			e.final = true
		default:
			return
		}
	}
	last := m.lastSlice
	if m.endedAt.After(last) {
		last = m.endedAt
	}
	if m.total > 0 {
		m.closed = over || len(m.slices) >= m.total
	} else {
		m.closed = over || now.Sub(last) >= quietEnd
	}
}
