package stompd

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
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

// route takes a SEND. It returns when the message is in every queue of its address, or refused, or dropped as Artemis would.
func (b *Broker) route(f *frame.Frame) error {
	address := f.Header.Get(frame.Destination)
	if address == "" {
		return refuse("SEND without destination")
	}
	m := &stored{address: address, header: f.Header, body: f.Body, at: time.Now(), persistent: f.Header.Get("persistent") == "true"}
	_, m.sized = f.Header.Contains(frame.ContentLength)
	if text, ok := f.Header.Contains("expires"); ok && text != "" && text != "0" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return refuse("expires %q is no time in milliseconds", text)
		}
		m.expires = time.UnixMilli(ms)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, ok := f.Header.Contains(message.HeaderDuplicateID); ok {
		cache := b.seen[address]
		if cache == nil {
			cache = &idCache{known: map[string]struct{}{}, ring: make([]string, 0, 64), size: b.cfg.IDCacheSize}
			b.seen[address] = cache
		}
		if cache.has(id) {
			b.duplicate++
			b.log.Debug("dropped a duplicate", slog.String("address", address), slog.String("dupl_id", id))
			return nil
		}
		if err := b.room(address); err != nil {
			return err // not remembered: the sender must be able to try again
		}
		cache.add(id)
	}
	if err := b.room(address); err != nil {
		return err
	}
	targets := b.bound[address]
	if len(targets) == 0 {
		b.unrouted++
		if !b.unheard[address] { // a topic that nobody hears is common, a misspelt address too: once is enough
			b.unheard[address] = true
			b.log.Info("messages to an address without a queue are gone", slog.String("address", address))
		}
		return nil
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
	return nil
}

// room refuses when any queue of the address is full: a message is in all of them or in none.
func (b *Broker) room(address string) error {
	for _, q := range b.bound[address] {
		if q.pending.Len() >= b.cfg.QueueLimit {
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
	h.Set(message.HeaderOriginalQueue, q.name)
	h.Set(message.HeaderOriginalAddress, m.address)
	h.Set("_AMQ_ORIG_MESSAGE_ID", strconv.FormatUint(m.id, 10))
	b.nextID++
	b.queues[to].append(&stored{id: b.nextID, address: to, header: h, body: m.body, sized: m.sized, persistent: m.persistent, at: time.Now()})
}

// giveBack returns messages of a subscription that ended to the head of its queue. Only the oldest counts as a failed
// delivery, as Artemis has it, and only when counted is set.
func (b *Broker) giveBack(s *subscription, counted bool) {
	back := s.unacked
	s.unacked = nil
	if counted && len(back) > 0 {
		first := back[0]
		first.deliveries++
		if first.deliveries >= b.cfg.MaxDeliveries {
			back = back[1:]
			s.queue.stat.Dead++
			b.log.Warn("message went to the dead letters", slog.String("queue", s.queue.name), slog.Int("deliveries", first.deliveries))
			b.bury(DeadLetters, s.queue, first)
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
