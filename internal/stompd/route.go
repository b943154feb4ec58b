package stompd

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
	"tfpilot/internal/msgstore"
)

// refusal is an error that goes to the client as an ERROR frame, after which the connection closes.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// accept makes a message of a SEND.
func accept(f *frame.Frame) (*msgstore.Message, error) {
	address := f.Header.Get(frame.Destination)
	if address == "" {
		return nil, refuse("SEND without destination")
	}
	m := &msgstore.Message{Address: address, Header: f.Header, Body: f.Body, At: time.Now(), Persistent: f.Header.Get("persistent") == "true"}
	if text, ok := f.Header.Contains("expires"); ok && text != "" && text != "0" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refuse("expires %q is no time in milliseconds", text)
		}
		m.Expires = time.UnixMilli(ms)
	}
	return m, nil
}

// route returns when the messages are in every queue of their addresses, or all refused, or dropped as Artemis would.
func (c *conn) route(messages ...*msgstore.Message) error {
	b := c.b
	if err := b.fits(messages); err != nil {
		return err
	}
	for _, m := range messages {
		if err := b.room(m, len(messages)); err != nil {
			return err // and its duplicate id is not remembered: the sender must be able to try again
		}
	}
	for _, m := range messages {
		if b.repeated(m) {
			c.after = b.disk.All() // the first one may not be on disk yet, and has no receipt then
		} else {
			b.place(m)
		}
	}
	return nil
}

// repeated reports whether the address has seen the message's duplicate id, and remembers it.
func (b *Broker) repeated(m *msgstore.Message) bool {
	id, ok := m.Header.Contains(message.HeaderDuplicateID)
	if !ok || b.how.noIDCache {
		return false
	}
	cache := b.seen[m.Address]
	if cache == nil {
		cache = b.disk.IDs(m.Address, b.cfg.IDCacheSize)
		b.seen[m.Address] = cache
	}
	if cache.Has(id) {
		b.duplicate++
		b.log.Debug("dropped a duplicate", slog.String("address", m.Address), slog.String("dupl_id", id))
		return true
	}
	cache.Add(id)
	return false
}

// maxUnheard bounds what is remembered of addresses that anybody makes up.
const maxUnheard = 1000

// place puts a message into the queues of its address.
func (b *Broker) place(m *msgstore.Message) {
	if b.queues[m.Address] == nil && b.wantsQueue(m.Address, m.Header.Get("destination-type")) {
		b.shared(m.Address)
	}
	targets := b.targets(m.Address)
	if len(targets) == 0 {
		b.unrouted++
		if !b.unheard[m.Address] { // a topic that nobody hears is common, a misspelt address too: once is enough
			if len(b.unheard) == maxUnheard {
				clear(b.unheard)
			}
			b.unheard[m.Address] = true
			b.log.Info("messages to an address without a queue are gone", slog.String("address", m.Address))
		}
	}
	targets = slices.DeleteFunc(slices.Clone(targets), func(q *queue) bool { return !q.filter.Matches(m.Header) })
	b.enter(m, targets...)
}

// enter puts a copy of a message into each queue.
func (b *Broker) enter(m *msgstore.Message, targets ...*queue) {
	copies := make([]*msgstore.Message, len(targets))
	for i, q := range targets {
		own := *m
		b.nextID++
		own.ID, own.Queue = b.nextID, q.name
		copies[i] = &own
	}
	b.disk.Add(copies)
	for i, q := range targets {
		q.append(copies[i])
	}
}

// queuePrefix begins the names of queues, in the production system as in Classic.
const queuePrefix = "/queue/"

// wantsQueue reports whether an address that a client names, with a type or without, is to be a queue.
func (b *Broker) wantsQueue(address, kind string) bool {
	return kind == "ANYCAST" || b.how.namedQueues && strings.HasPrefix(address, queuePrefix)
}

// targets are the queues that a message to an address goes to.
func (b *Broker) targets(address string) []*queue {
	if q := b.queues[address]; b.how.namedQueues && q != nil {
		return []*queue{q}
	}
	return b.bound[address]
}

// fits refuses what is so large that on a full disk no acknowledgement would come past it.
func (b *Broker) fits(messages []*msgstore.Message) error {
	var bytes int64
	for _, m := range messages {
		if m.Persistent {
			bytes += stored(m)
		}
	}
	if largest := b.disk.Largest(); bytes > largest {
		return refuse("%d bytes of persistent messages are more than the %d that this broker keeps at once: send smaller messages, smaller transactions, or without persistent",
			bytes, largest)
	}
	return nil
}

// stored is about what a message takes on disk.
func stored(m *msgstore.Message) int64 {
	n := len(m.Address) + len(m.Body)
	for i := range m.Header.Len() {
		key, value := m.Header.GetAt(i)
		n += len(key) + len(value)
	}
	return int64(n)
}

// room refuses when any queue of the message's address has no place for n more, or the disk: a message is in all or in none.
func (b *Broker) room(m *msgstore.Message, n int) error {
	if m.Persistent {
		if err := b.disk.Full(); err != nil {
			return refuse("the broker's disk is full: %v", err)
		}
	}
	for _, q := range b.targets(m.Address) {
		if q.pending.Len()+n > b.cfg.QueueLimit || q.bytes > b.cfg.QueueBytes {
			return refuse("queue %s is full (%d messages of %d bytes)", q.name, q.pending.Len(), q.bytes)
		}
	}
	return nil
}

// bury moves a message to another queue, saying where it came from.
func (b *Broker) bury(to string, q *queue, m *msgstore.Message) {
	h := m.Header.Clone()
	h.Del(message.HeaderDuplicateID)
	h.Del("expires")
	if b.cfg.Mode == Artemis {
		h.Set(message.HeaderOriginalQueue, q.name)
		h.Set(message.HeaderOriginalAddress, m.Address)
		h.Set("_AMQ_ORIG_MESSAGE_ID", strconv.FormatUint(m.ID, 10))
	}
	b.disk.Gone(m)
	b.enter(&msgstore.Message{Address: to, Header: h, Body: m.Body, Persistent: m.Persistent, At: time.Now()}, b.queues[to])
}

// giveBack ends subscriptions: what they hold returns to the head of its queue in the order in which it came; lost, with their
// connection.
func (b *Broker) giveBack(lost bool, subs ...*subscription) {
	for _, s := range subs {
		s.queue.remove(s) // all of them first: what one gives back must not go to another of the same connection
	}
	back := map[*queue][]*msgstore.Message{}
	for _, s := range subs {
		back[s.queue] = append(back[s.queue], b.undelivered(s, lost)...)
	}
	for q, messages := range back {
		slices.SortFunc(messages, func(m, o *msgstore.Message) int { return cmp.Compare(m.ID, o.ID) })
		q.pushFront(messages)
	}
	for q := range back {
		b.release(q) // when all is back: a queue that is empty before then would go, and what comes back with it
	}
}

// undelivered takes from a subscription what it holds. When it is lost the oldest has failed a delivery in Artemis; in Classic
// all have, whatever the end.
func (b *Broker) undelivered(s *subscription, lost bool) []*msgstore.Message {
	back := s.unacked
	s.unacked = nil
	switch {
	case b.how.countsAll:
		for _, m := range back {
			m.Deliveries++
			b.disk.Counted(m)
		}
	case lost && len(back) > 0:
		back[0].Deliveries++
		b.disk.Counted(back[0])
	}
	if len(back) > 0 {
		first := back[0]
		if first.Deliveries >= b.cfg.MaxDeliveries && !b.how.deliversForever {
			back = back[1:]
			s.queue.stat.Dead++
			b.log.Warn("message went to the dead letters", slog.String("queue", s.queue.name), slog.Int("deliveries", first.Deliveries))
			b.bury(b.how.deadLetters, s.queue, first)
		}
	}
	return back
}

// expire moves expired messages away until ctx ends.
func (b *Broker) expire(ctx context.Context) {
	t := time.NewTicker(b.cfg.ExpiryScan)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			for b.expireSome(ctx, now) {
			}
		}
	}
}

// expireSome moves as much of what is expired as may be written at once, and reports whether there may be more. A moved message
// makes the log longer before it makes it shorter: on a full disk it stays where it is.
func (b *Broker) expireSome(ctx context.Context, now time.Time) (more bool) {
	b.disk.Wait(ctx.Done())
	b.mu.Lock()
	defer b.unlock()
	if ctx.Err() != nil || b.disk.Full() != nil {
		return false
	}
	room := b.disk.Largest()
	for _, q := range b.queues {
		if room = q.expireAll(now, room); room <= 0 {
			return true
		}
	}
	return false
}
