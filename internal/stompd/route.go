package stompd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
)

// stored is a message in the broker. It is immutable but for deliveries; queues share its header and body.
type stored struct {
	id         uint64
	address    string
	header     *frame.Header // the properties, as sent
	body       []byte
	sized      bool // came with content-length
	persistent bool
	expires    time.Time // zero: never
	at         time.Time
	deliveries int
	queue      string       // that it is in; empty: one without a name
	kept       *keptMessage // on disk; nil: not
	serial     uint64       // of its record; 0: it is on disk already, or never will be
}

// refusal is an error that goes to the client as an ERROR frame, after which the connection closes.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// accept makes a message of a SEND.
func accept(f *frame.Frame) (*stored, error) {
	address := f.Header.Get(frame.Destination)
	if address == "" {
		return nil, refuse("SEND without destination")
	}
	m := &stored{address: address, header: f.Header, body: f.Body, at: time.Now(), persistent: f.Header.Get("persistent") == "true"}
	_, m.sized = f.Header.Contains(frame.ContentLength)
	if text, ok := f.Header.Contains("expires"); ok && text != "" && text != "0" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refuse("expires %q is no time in milliseconds", text)
		}
		m.expires = time.UnixMilli(ms)
	}
	return m, nil
}

// route returns when the messages are in every queue of their addresses, or all refused, or dropped as Artemis would.
func (c *conn) route(messages ...*stored) error {
	b := c.b
	for _, m := range messages {
		if err := b.room(m, len(messages)); err != nil {
			return err // and its duplicate id is not remembered: the sender must be able to try again
		}
	}
	for _, m := range messages {
		if b.repeated(m) {
			c.after = b.disk.all() // the first one may not be on disk yet, and has no receipt then
		} else {
			b.place(m)
		}
	}
	return nil
}

// repeated reports whether the address has seen the message's duplicate id, and remembers it.
func (b *Broker) repeated(m *stored) bool {
	id, ok := m.header.Contains(message.HeaderDuplicateID)
	if !ok || b.how.noIDCache {
		return false
	}
	cache := b.seen[m.address]
	if cache == nil {
		cache = newIDCache(b.cfg.IDCacheSize)
		b.seen[m.address] = cache
	}
	if cache.has(id) {
		b.duplicate++
		b.log.Debug("dropped a duplicate", slog.String("address", m.address), slog.String("dupl_id", id))
		return true
	}
	k := &keptID{address: m.address, serial: cache.last + 1, id: id}
	k.entry = b.disk.keep(k)
	if old := cache.add(k); old != nil {
		b.disk.drop(old.entry)
	}
	return false
}

// place puts a message into the queues of its address.
func (b *Broker) place(m *stored) {
	if b.queues[m.address] == nil && b.wantsQueue(m.address, m.header.Get("destination-type")) {
		b.shared(m.address)
	}
	targets := b.targets(m.address)
	if len(targets) == 0 {
		b.unrouted++
		if !b.unheard[m.address] { // a topic that nobody hears is common, a misspelt address too: once is enough
			b.unheard[m.address] = true
			b.log.Info("messages to an address without a queue are gone", slog.String("address", m.address))
		}
	}
	targets = slices.DeleteFunc(slices.Clone(targets), func(q *queue) bool { return !q.filter.Matches(m.header) })
	b.enter(m, targets...)
}

// enter puts a copy of a message into each queue.
func (b *Broker) enter(m *stored, targets ...*queue) {
	copies := make([]*stored, len(targets))
	for i, q := range targets {
		own := *m
		b.nextID++
		own.id, own.queue = b.nextID, q.name
		copies[i] = &own
	}
	b.disk.added(copies)
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

// room refuses when any queue of the message's address has no place for n more, or the disk: a message is in all or in none.
func (b *Broker) room(m *stored, n int) error {
	if m.persistent {
		if err := b.disk.full(); err != nil {
			return err
		}
	}
	for _, q := range b.targets(m.address) {
		if q.pending.Len()+n > b.cfg.QueueLimit || q.bytes > b.cfg.QueueBytes {
			return refuse("queue %s is full (%d messages of %d bytes)", q.name, q.pending.Len(), q.bytes)
		}
	}
	return nil
}

// bury moves a message to another queue, saying where it came from.
func (b *Broker) bury(to string, q *queue, m *stored) {
	h := m.header.Clone()
	h.Del(message.HeaderDuplicateID)
	h.Del("expires")
	if b.cfg.Mode == Artemis {
		h.Set(message.HeaderOriginalQueue, q.name)
		h.Set(message.HeaderOriginalAddress, m.address)
		h.Set("_AMQ_ORIG_MESSAGE_ID", strconv.FormatUint(m.id, 10))
	}
	b.disk.gone(m)
	b.enter(&stored{address: to, header: h, body: m.body, sized: m.sized, persistent: m.persistent, at: time.Now()}, b.queues[to])
}

// giveBack returns messages of a subscription that ended to the head of its queue; lost, with its connection. Then the oldest
// has failed a delivery in Artemis; in Classic all have, whatever the end.
func (b *Broker) giveBack(s *subscription, lost bool) {
	back := s.unacked
	s.unacked = nil
	switch {
	case b.how.countsAll:
		for _, m := range back {
			m.deliveries++
			b.disk.counted(m)
		}
	case lost && len(back) > 0:
		back[0].deliveries++
		b.disk.counted(back[0])
	}
	if len(back) > 0 {
		first := back[0]
		if first.deliveries >= b.cfg.MaxDeliveries && !b.how.deliversForever {
			back = back[1:]
			s.queue.stat.Dead++
			b.log.Warn("message went to the dead letters", slog.String("queue", s.queue.name), slog.Int("deliveries", first.deliveries))
			b.bury(b.how.deadLetters, s.queue, first)
		}
	}
	s.queue.pushFront(back)
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
			b.mu.Lock()
			for _, q := range b.queues {
				q.expireAll(now)
			}
			b.unlock()
		}
	}
}

// idCache remembers the last ids of an address in a ring.
type idCache struct {
	known map[string]struct{}
	ring  []*keptID
	next  int
	size  int
	last  uint64 // serial number
}

func newIDCache(size int) *idCache { return &idCache{known: map[string]struct{}{}, size: size} }

func (c *idCache) has(id string) bool {
	_, ok := c.known[id]
	return ok
}

// add takes an id that is new, with the next serial number, and returns the one that it displaces.
func (c *idCache) add(k *keptID) (old *keptID) {
	c.known[k.id] = struct{}{}
	c.last = k.serial
	if len(c.ring) < c.size {
		c.ring = append(c.ring, k)
		return nil
	}
	old = c.ring[c.next]
	delete(c.known, old.id)
	c.ring[c.next] = k
	c.next = (c.next + 1) % c.size
	return old
}
