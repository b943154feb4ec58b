package msgqueue

import (
	"container/list"
	"slices"
	"time"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// queue holds messages for the subscriptions that compete for them.
type queue struct {
	name    string
	address string
	filter  *selector.Selector     // what it takes of its address; nil: all
	durable bool                   // that of a durable subscription
	kept    *msgstore.Subscription // on disk
	passing bool                   // goes when it is empty and nobody listens
	pending *list.List             // of *msgstore.Message, oldest first
	bytes   int                    // of the pending
	subs    []*Subscription
	turn    int // whose turn the next message is
	stat    Stat
	expired func(q *queue, m *msgstore.Message) // takes what is too old to be delivered
}

func (a *Addresses) newQueue(name, address string) *queue {
	return &queue{name: name, address: address, pending: list.New(), expired: func(q *queue, m *msgstore.Message) { a.bury(a.how.expired, q, m) }}
}

// append adds a message at the end and gives it to the first subscription in turn that wants it.
func (q *queue) append(m *msgstore.Message) {
	q.stat.Added++
	if isExpired(m, m.At) {
		q.expire(m)
		return
	}
	e := q.pending.PushBack(m)
	q.bytes += m.Size()
	for _, s := range q.subs {
		if s.cursor == nil {
			s.cursor = e
		}
	}
	for i := range q.subs {
		s := q.subs[(q.turn+i)%len(q.subs)]
		if s.cursor == e && s.room() {
			if s.selector.Matches(m.Header) {
				q.turn = (q.turn + i + 1) % len(q.subs)
				q.take(e)
				s.deliver(m)
				return
			}
			s.cursor = e.Next()
		}
	}
}

// take removes a pending message and moves the cursors that stood on it.
func (q *queue) take(e *list.Element) {
	next := e.Next()
	for _, s := range q.subs {
		if s.cursor == e {
			s.cursor = next
		}
	}
	q.pending.Remove(e)
	if m, ok := e.Value.(*msgstore.Message); ok {
		q.bytes -= m.Size()
	}
}

// serve delivers to a subscription as long as it has room.
func (q *queue) serve(s *Subscription) {
	for s.cursor != nil && s.room() {
		e := s.cursor
		m, _ := e.Value.(*msgstore.Message)
		if !s.selector.Matches(m.Header) {
			s.cursor = e.Next()
			continue
		}
		q.take(e)
		if isExpired(m, time.Now()) {
			q.expire(m)
			continue
		}
		s.deliver(m)
	}
}

func isExpired(m *msgstore.Message, now time.Time) bool {
	return !m.Expires.IsZero() && now.After(m.Expires)
}

// expire moves a message that has been taken to where the expired ones go.
func (q *queue) expire(m *msgstore.Message) {
	q.stat.Expired++
	q.expired(q, m)
}

// serveAll delivers to everybody who has room, in turn, one message each at a time.
func (q *queue) serveAll() {
	for range q.subs {
		if len(q.subs) == 0 {
			return
		}
		q.turn = (q.turn + 1) % len(q.subs)
		q.serve(q.subs[q.turn])
	}
}

// pushFront puts messages back before all others, in their order.
func (q *queue) pushFront(back []*msgstore.Message) {
	for _, m := range slices.Backward(back) {
		q.pending.PushFront(m)
		q.bytes += m.Size()
	}
	for _, s := range q.subs {
		s.cursor = q.pending.Front()
	}
	q.serveAll()
}

// expireAll moves everything that is too old, as long as there is room for so many bytes, and says how much room is left.
func (q *queue) expireAll(now time.Time, room int64) (left int64) {
	for e := q.pending.Front(); e != nil && room > 0; {
		next := e.Next()
		if m, _ := e.Value.(*msgstore.Message); isExpired(m, now) {
			q.take(e)
			q.expire(m)
			room -= stored(m)
		}
		e = next
	}
	return room
}

func (q *queue) add(s *Subscription) {
	s.queue, s.cursor = q, q.pending.Front()
	q.subs = append(q.subs, s)
	q.serve(s)
}

func (q *queue) remove(s *Subscription) {
	if i := slices.Index(q.subs, s); i >= 0 {
		q.subs = slices.Delete(q.subs, i, i+1)
	}
}
