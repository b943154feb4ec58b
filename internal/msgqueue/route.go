package msgqueue

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/message"
	"tfpilot/internal/msgstore"
)

// Route puts messages into every queue of their addresses, or refuses all of them, or drops them as Artemis would. It reports whether
// one of them was dropped because its duplicate id has come before.
func (a *Addresses) Route(messages ...*msgstore.Message) (repeated bool, err error) {
	if err := a.fits(messages); err != nil {
		return false, err
	}
	for _, m := range messages {
		if err := a.room(m, len(messages)); err != nil {
			return false, err // and its duplicate id is not remembered: the sender must be able to try again
		}
	}
	for _, m := range messages {
		if a.repeated(m) {
			repeated = true
		} else {
			a.place(m)
		}
	}
	return repeated, nil
}

// repeated reports whether the address has seen the message's duplicate id, and remembers it.
func (a *Addresses) repeated(m *msgstore.Message) bool {
	id, ok := m.Header.Contains(message.HeaderDuplicateID)
	if !ok || a.how.noIDCache {
		return false
	}
	cache := a.seen[m.Address]
	if cache == nil {
		cache = a.disk.IDs(m.Address, a.cfg.IDCacheSize)
		a.seen[m.Address] = cache
	}
	if cache.Has(id) {
		a.duplicate++
		a.log.Debug("dropped a duplicate", slog.String("address", m.Address), slog.String("dupl_id", id))
		return true
	}
	cache.Add(id)
	return false
}

// maxUnheard bounds what is remembered of addresses that anybody makes up.
const maxUnheard = 1000

// place puts a message into the queues of its address.
func (a *Addresses) place(m *msgstore.Message) {
	if a.queues[m.Address] == nil && a.wantsQueue(m.Address, m.Header.Get("destination-type")) {
		a.shared(m.Address)
	}
	targets := a.targets(m.Address)
	if len(targets) == 0 {
		a.unrouted++
		if !a.unheard[m.Address] { // a topic that nobody hears is common, a misspelt address too: once is enough
			if len(a.unheard) == maxUnheard {
				clear(a.unheard)
			}
			a.unheard[m.Address] = true
			a.log.Info("messages to an address without a queue are gone", slog.String("address", m.Address))
		}
	}
	targets = slices.DeleteFunc(slices.Clone(targets), func(q *queue) bool { return !q.filter.Matches(m.Header) })
	a.enter(m, targets...)
}

// enter puts a copy of a message into each queue.
func (a *Addresses) enter(m *msgstore.Message, targets ...*queue) {
	copies := make([]*msgstore.Message, len(targets))
	for i, q := range targets {
		own := *m
		a.nextID++
		own.ID, own.Queue = a.nextID, q.name
		copies[i] = &own
	}
	a.disk.Add(copies)
	for i, q := range targets {
		q.append(copies[i])
	}
}

// queuePrefix begins the names of queues, in the production system as in Classic.
const queuePrefix = "/queue/"

// wantsQueue reports whether an address that a client names, with a type or without, is to be a queue.
func (a *Addresses) wantsQueue(address, kind string) bool {
	return kind == "ANYCAST" || a.how.namedQueues && strings.HasPrefix(address, queuePrefix)
}

// targets are the queues that a message to an address goes to.
func (a *Addresses) targets(address string) []*queue {
	if q := a.queues[address]; a.how.namedQueues && q != nil {
		return []*queue{q}
	}
	return a.bound[address]
}

// fits refuses what is so large that on a full disk no acknowledgement would come past it.
func (a *Addresses) fits(messages []*msgstore.Message) error {
	var bytes int64
	for _, m := range messages {
		if m.Persistent {
			bytes += stored(m)
		}
	}
	if largest := a.disk.Largest(); bytes > largest {
		return fmt.Errorf("%d bytes of persistent messages are more than the %d that this broker keeps at once: send smaller messages, smaller transactions, or without persistent",
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
func (a *Addresses) room(m *msgstore.Message, n int) error {
	if m.Persistent {
		if err := a.disk.Full(); err != nil {
			return fmt.Errorf("the broker's disk is full: %w", err)
		}
	}
	for _, q := range a.targets(m.Address) {
		if q.pending.Len()+n > a.cfg.QueueLimit || q.bytes > a.cfg.QueueBytes {
			return fmt.Errorf("queue %s is full (%d messages of %d bytes)", q.name, q.pending.Len(), q.bytes)
		}
	}
	return nil
}

// bury moves a message to another queue, saying where it came from.
func (a *Addresses) bury(to string, q *queue, m *msgstore.Message) {
	h := m.Header.Clone()
	h.Del(message.HeaderDuplicateID)
	h.Del("expires")
	if !a.how.noOrigin {
		h.Set(message.HeaderOriginalQueue, q.name)
		h.Set(message.HeaderOriginalAddress, m.Address)
		h.Set("_AMQ_ORIG_MESSAGE_ID", strconv.FormatUint(m.ID, 10))
	}
	a.disk.Gone(m)
	a.enter(&msgstore.Message{Address: to, Header: h, Body: m.Body, Persistent: m.Persistent, At: time.Now()}, a.queues[to])
}
