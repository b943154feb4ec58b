package stompd

import (
	"context"
	"fmt"
	"log/slog"
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
func (b *Broker) route(messages ...*stored) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range messages {
		if err := b.room(m.address, len(messages)); err != nil {
			return err // and its duplicate id is not remembered: the sender must be able to try again
		}
	}
	for _, m := range messages {
		if !b.repeated(m) {
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
		cache = &idCache{known: map[string]struct{}{}, ring: make([]string, 0, 64), size: b.cfg.IDCacheSize}
		b.seen[m.address] = cache
	}
	if cache.has(id) {
		b.duplicate++
		b.log.Debug("dropped a duplicate", slog.String("address", m.address), slog.String("dupl_id", id))
		return true
	}
	cache.add(id)
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
	for _, q := range targets {
		if !q.filter.matches(m.header) {
			continue
		}
		own := *m
		b.nextID++
		own.id = b.nextID
		q.append(&own)
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

// room refuses when any queue of the address has no place for n more: a message is in all of them or in none.
func (b *Broker) room(address string, n int) error {
	for _, q := range b.targets(address) {
		if q.pending.Len()+n > b.cfg.QueueLimit {
			return refuse("queue %s is full (%d messages)", q.name, q.pending.Len())
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
	b.nextID++
	b.queues[to].append(&stored{id: b.nextID, address: to, header: h, body: m.body, sized: m.sized, persistent: m.persistent, at: time.Now()})
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
		}
	case lost && len(back) > 0:
		back[0].deliveries++
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
			b.mu.Unlock()
		}
	}
}

// idCache remembers the last ids of an address in a ring.
type idCache struct {
	known map[string]struct{}
	ring  []string
	next  int
	size  int
}

func (c *idCache) has(id string) bool {
	_, ok := c.known[id]
	return ok
}

func (c *idCache) add(id string) {
	if c.has(id) {
		return
	}
	c.known[id] = struct{}{}
	if len(c.ring) < c.size {
		c.ring = append(c.ring, id)
		return
	}
	delete(c.known, c.ring[c.next])
	c.ring[c.next] = id
	c.next = (c.next + 1) % c.size
}
