package msgstore

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"tfpilot/internal/seglog"
)

// Restored is what a store held when it was opened.
type Restored struct {
	// NextID is the id of the last message that there ever was.
	NextID uint64
	// Messages are those of all queues, the oldest first.
	Messages      []*Message
	Subscriptions []*Subscription
	// IDs are by address.
	IDs map[string]*IDs
}

// segmentBytes is the size of the log's segments.
const segmentBytes = 8 << 20

// Open opens the store in a folder, or makes one. Addresses remember so many ids.
func Open(dir string, options seglog.Options, ids int) (*Store, Restored, error) {
	options.Version = recordVersion
	options.SegmentBytes = cmp.Or(options.SegmentBytes, segmentBytes)
	r := &restoring{
		Store:    &Store{live: list.New(), segment: options.SegmentBytes},
		messages: map[uint64]*Message{}, ids: map[string]map[uint64]*keptID{}, subscriptions: map[string]*Subscription{},
	}
	log, err := seglog.Open(dir, options, r.replay)
	if err != nil {
		return nil, Restored{}, err
	}
	r.log, r.newest = log, log.Newest()
	out := Restored{NextID: r.nextID, IDs: map[string]*IDs{}}
	for _, m := range r.messages {
		out.Messages = append(out.Messages, m)
	}
	// What is copied forward in the log is younger there; the ids tell the order.
	slices.SortFunc(out.Messages, func(a, b *Message) int { return cmp.Compare(a.ID, b.ID) })
	for _, k := range r.subscriptions {
		out.Subscriptions = append(out.Subscriptions, k)
	}
	for address, kept := range r.ids {
		out.IDs[address] = r.ring(address, kept, ids)
	}
	return r.Store, out, nil
}

// restoring is what the log says while it is read.
type restoring struct {
	*Store

	nextID        uint64
	messages      map[uint64]*Message
	ids           map[string]map[uint64]*keptID // by address and serial number
	subscriptions map[string]*Subscription
}

// replay does again what a record says.
func (r *restoring) replay(segment uint64, record []byte) error {
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
				m.Deliveries = int(deliveries)
			}
		case opID:
			kept = r.id(&keptID{address: d.text(), serial: d.number(), id: d.text()})
		case opSubscribe:
			kept = r.subscribe(&Subscription{Name: d.text(), Address: d.text(), Selector: d.text()})
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
func (r *restoring) found(what encoder, segment uint64, bytes int64) {
	e := &entry{what: what, segment: segment, bytes: bytes}
	e.place = r.live.PushBack(e)
	r.bytes += bytes
	switch k := what.(type) {
	case *keptMessage:
		k.entry = e
	case *keptID:
		k.entry = e
	case *Subscription:
		k.entry = e
	}
}

func (r *restoring) add(copies []*Message) encoder {
	if len(copies) == 0 {
		return nil
	}
	k := &keptMessage{copies: slices.Clone(copies)}
	for _, m := range copies {
		r.gone(r.messages[m.ID]) // it stands here anew
		m.kept = k
		r.messages[m.ID] = m
	}
	return k
}

func (r *restoring) gone(m *Message) {
	if m == nil {
		return
	}
	delete(r.messages, m.ID)
	m.kept.copies = slices.DeleteFunc(m.kept.copies, func(o *Message) bool { return o == m })
	if len(m.kept.copies) == 0 {
		r.drop(m.kept.entry)
	}
}

func (r *restoring) id(k *keptID) encoder {
	if r.ids[k.address] == nil {
		r.ids[k.address] = map[uint64]*keptID{}
	}
	if old := r.ids[k.address][k.serial]; old != nil {
		r.drop(old.entry)
	}
	r.ids[k.address][k.serial] = k
	return k
}

// ring is the youngest ids of an address. One that was forgotten and came again may stand in the log twice: the later one counts.
func (r *restoring) ring(address string, ids map[uint64]*keptID, size int) *IDs {
	latest := map[string]*keptID{}
	for _, k := range ids {
		if other := latest[k.id]; other == nil || other.serial < k.serial {
			latest[k.id] = k
		}
	}
	for _, k := range ids {
		if latest[k.id] != k {
			r.drop(k.entry)
		}
	}
	c := r.IDs(address, size)
	for _, k := range slices.SortedFunc(maps.Values(latest), func(a, b *keptID) int { return cmp.Compare(a.serial, b.serial) }) {
		c.put(k)
	}
	return c
}

func (r *restoring) subscribe(k *Subscription) encoder {
	r.unsubscribe(k.Name)
	r.subscriptions[k.Name] = k
	return k
}

func (r *restoring) unsubscribe(name string) {
	if k := r.subscriptions[name]; k != nil {
		r.drop(k.entry)
		delete(r.subscriptions, name)
	}
}
