package stompd

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/seglog"
	"tfpilot/internal/selector"
)

// restored is what the log says while it is read.
type restored struct {
	*store

	nextID        uint64
	messages      map[uint64]*stored
	ids           map[string]map[uint64]*keptID // by address and serial number
	subscriptions map[string]*keptSubscription
}

// restore opens the log of a broker and takes up what it was doing.
func (b *Broker) restore() error {
	options := b.cfg.Log
	options.Version, options.Logger = recordVersion, b.log
	options.SegmentBytes = cmp.Or(options.SegmentBytes, segmentBytes)
	r := &restored{
		store:    &store{live: list.New(), segment: options.SegmentBytes},
		messages: map[uint64]*stored{}, ids: map[string]map[uint64]*keptID{}, subscriptions: map[string]*keptSubscription{},
	}
	log, err := seglog.Open(b.cfg.State, options, r.replay)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "opening the broker's state: %w", err)
	}
	r.log, r.newest = log, log.Newest()
	b.disk, b.nextID = r.store, r.nextID
	for _, k := range r.subscriptions {
		sel, err := selector.Parse(k.selector, b.how.numbers)
		if err != nil {
			b.log.Warn("a durable subscription has a selector that this mode does not know; it takes everything now",
				slog.String("subscription", k.name), slog.Any("err", err))
		}
		b.durable(k.name, k.address, sel).kept = k
	}
	for address, ids := range r.ids {
		b.seen[address] = r.cache(ids, b.cfg.IDCacheSize)
	}
	messages := make([]*stored, 0, len(r.messages))
	for _, m := range r.messages {
		messages = append(messages, m)
	}
	// What is copied forward in the log is younger there; the ids tell the order.
	slices.SortFunc(messages, func(a, b *stored) int { return cmp.Compare(a.id, b.id) })
	for _, m := range messages {
		q := b.queues[m.queue]
		if q == nil {
			q = b.shared(m.queue)
		}
		if b.how.forgetsFailures {
			m.deliveries = 0
		}
		q.pending.PushBack(m)
		q.bytes += size(m)
	}
	if len(messages) > 0 || len(r.subscriptions) > 0 {
		b.log.Info("took up the broker's state", slog.Int("messages", len(messages)), slog.Int("durable_subscriptions", len(r.subscriptions)))
	}
	return nil
}

// segmentBytes is the size of the log's segments.
const segmentBytes = 8 << 20

// replay does again what a record says.
func (r *restored) replay(segment uint64, record []byte) error {
	if len(record) < recordHead {
		return errShort
	}
	r.nextID = max(r.nextID, binary.LittleEndian.Uint64(record))
	d := &decoder{b: record[recordHead:]}
	for len(d.b) > 0 && d.err == nil {
		op, before := d.b[0], len(d.b)
		d.b = d.b[1:]
		var kept encoder
		switch op {
		case opAdd:
			kept = r.add(d.message())
		case opGone:
			r.gone(r.messages[d.number()])
		case opCount:
			m, deliveries := r.messages[d.number()], d.number()
			if m != nil {
				m.deliveries = int(deliveries)
			}
		case opID:
			kept = r.id(&keptID{address: d.text(), serial: d.number(), id: d.text()})
		case opSubscribe:
			kept = r.subscribe(&keptSubscription{name: d.text(), address: d.text(), selector: d.text()})
		case opUnsubscribe:
			r.unsubscribe(d.text())
		default:
			return fmt.Errorf("operation %d is unknown", op)
		}
		if kept != nil {
			r.found(kept, segment, int64(before-len(d.b)))
		}
	}
	return d.err
}

// found notes where an entry stands.
func (r *restored) found(what encoder, segment uint64, bytes int64) {
	e := &entry{what: what, segment: segment, bytes: bytes}
	e.place = r.live.PushBack(e)
	r.bytes += bytes
	switch k := what.(type) {
	case *keptMessage:
		k.entry = e
	case *keptID:
		k.entry = e
	case *keptSubscription:
		k.entry = e
	}
}

func (r *restored) add(copies []*stored) encoder {
	if len(copies) == 0 {
		return nil
	}
	k := &keptMessage{copies: slices.Clone(copies)}
	for _, m := range copies {
		r.gone(r.messages[m.id]) // it stands here anew
		m.kept = k
		r.messages[m.id] = m
	}
	return k
}

func (r *restored) gone(m *stored) {
	if m == nil {
		return
	}
	delete(r.messages, m.id)
	m.kept.copies = slices.DeleteFunc(m.kept.copies, func(o *stored) bool { return o == m })
	if len(m.kept.copies) == 0 {
		r.drop(m.kept.entry)
	}
}

func (r *restored) id(k *keptID) encoder {
	if r.ids[k.address] == nil {
		r.ids[k.address] = map[uint64]*keptID{}
	}
	if old := r.ids[k.address][k.serial]; old != nil {
		r.drop(old.entry)
	}
	r.ids[k.address][k.serial] = k
	return k
}

// cache is the ring of the youngest ids.
func (r *restored) cache(ids map[uint64]*keptID, size int) *idCache {
	sorted := make([]*keptID, 0, len(ids))
	for _, k := range ids {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, func(a, b *keptID) int { return cmp.Compare(a.serial, b.serial) })
	c := newIDCache(size)
	for _, k := range sorted {
		if old := c.add(k); old != nil {
			r.drop(old.entry)
		}
	}
	return c
}

func (r *restored) subscribe(k *keptSubscription) encoder {
	r.unsubscribe(k.name)
	r.subscriptions[k.name] = k
	return k
}

func (r *restored) unsubscribe(name string) {
	if k := r.subscriptions[name]; k != nil {
		r.drop(k.entry)
		delete(r.subscriptions, name)
	}
}
