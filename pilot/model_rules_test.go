package pilot_test

import (
	"pgregory.net/rapid"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
)

// Check holds what was seen so far to the rules.
func (m *machine) Check(rt *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.wrong {
		rt.Error(w)
	}
	select {
	case <-m.pilot.done:
		rt.Errorf("the pilot left: %v", m.pilot.err)
	default:
	}
}

// settle lets everything come to its end: then every message is acknowledged, and every attempt has its answer.
func (m *machine) settle() {
	m.back()
	m.mu.Lock()
	m.free = true
	m.mu.Unlock()
	for _, w := range m.open() {
		close(w.end)
	}
	await(m.t, "all acknowledgements", func() bool { return m.rig.queue().Acked == uint64(m.messages) })
	m.Check(m.t)
	ids, done, failed := map[string]int{}, map[string]bool{}, map[string]bool{}
	for r := range m.results() {
		identity, number, state := r.Identity(), int(r.Content.Attempt.Int64()), r.Content.State
		a := m.attempts[identity][number]
		if a == nil || (a.plan == fails) != (state == message.StateFailed) {
			m.t.Errorf("a result of nothing, or not as planned: %s %s, attempt %d: %+v", identity, state, number, a)
		}
		id := message.ResultDuplicateID(namespace, run, identity, min(number, 1), state)
		most := 1
		if state == message.StateFailed {
			id = message.ResultDuplicateID(namespace, run, identity, number, state)
		} else if m.attempts[identity][3] != nil {
			most = 2 // a third attempt is asked for when two results were lost: what answers it has an id of its own
		}
		if ids[id]++; ids[id] > most {
			m.t.Errorf("%d results %s, want %d at most", ids[id], id, most)
		}
		if state == message.StateDone {
			done[identity] = true
		} else {
			failed[id] = true
		}
	}
	for identity, attempts := range m.attempts {
		for number, a := range attempts {
			own := a.plan == fails && failed[message.ResultDuplicateID(namespace, run, identity, number, message.StateFailed)]
			if !own && !done[identity] {
				m.t.Errorf("%s, attempt %d, has no answer; it %s", identity, number, a.plan)
			}
		}
	}
}

// results are all that there are; what is sent last says where they end.
func (m *machine) results() func(yield func(message.SliceResult) bool) {
	must(m.t, m.rig.link.Publish(soon(m.t), broker.Out{
		Destination: message.TopicResults, Body: []byte(`{"msg_type":"slice_result","run_id":"7","content":{"state":"done","req_id":"last"}}`),
	}))
	return func(yield func(message.SliceResult) bool) {
		for r := m.rig.next(); r.Identity() != "last"; r = m.rig.next() {
			if !yield(r) {
				return
			}
		}
	}
}
