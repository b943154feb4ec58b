package msgqueue

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"tfpilot/internal/msgstore"
)

// GiveBack ends subscriptions: what they hold returns to the head of its queue in the order in which it came; lost, with their
// connection.
func (a *Addresses) GiveBack(lost bool, subs ...*Subscription) {
	for _, s := range subs {
		s.queue.remove(s) // all of them first: what one gives back must not go to another of the same connection
	}
	back := map[*queue][]*msgstore.Message{}
	for _, s := range subs {
		back[s.queue] = append(back[s.queue], a.undelivered(s, lost)...)
	}
	for q, messages := range back {
		slices.SortFunc(messages, func(m, o *msgstore.Message) int { return cmp.Compare(m.ID, o.ID) })
		q.pushFront(messages)
	}
	for q := range back {
		a.release(q) // when all is back: a queue that is empty before then would go, and what comes back with it
	}
}

// undelivered takes from a subscription what it holds. When it is lost the oldest has failed a delivery in Artemis; in Classic
// all have, whatever the end.
func (a *Addresses) undelivered(s *Subscription, lost bool) []*msgstore.Message {
	back := s.unsettled
	s.unsettled = nil
	switch {
	case a.how.countsAll:
		for _, m := range back {
			m.Deliveries++
			a.disk.Counted(m)
		}
	case lost && len(back) > 0:
		back[0].Deliveries++
		a.disk.Counted(back[0])
	}
	if len(back) > 0 {
		first := back[0]
		if first.Deliveries >= a.cfg.MaxDeliveries && !a.how.deliversForever {
			back = back[1:]
			s.queue.stat.Dead++
			a.log.Warn("message went to the dead letters", slog.String("queue", s.queue.name), slog.Int("deliveries", first.Deliveries))
			a.bury(a.how.deadLetters, s.queue, first)
		}
	}
	return back
}

// Expire moves as much of what is expired as may be written at once, and reports whether there may be more. A moved message makes
// the log longer before it makes it shorter: on a full disk it stays where it is.
func (a *Addresses) Expire(now time.Time) (more bool) {
	if a.disk.Full() != nil {
		return false
	}
	room := a.disk.Largest()
	for _, q := range a.queues {
		if room = q.expireAll(now, room); room <= 0 {
			return true
		}
	}
	return false
}
