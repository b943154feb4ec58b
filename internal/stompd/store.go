package stompd

import (
	"container/list"
	"encoding/binary"
	"slices"

	"tfpilot/internal/seglog"
)

// store keeps on disk what a broker must not forget. What one command does is one record, so that a crash leaves all of it or
// nothing. A nil store keeps nothing. The broker's lock guards it.
type store struct {
	log *seglog.Log
	// ops is what the command at hand did; fresh are the entries that it wrote.
	ops   []byte
	fresh []*entry
	// live are the entries that matter, in the order in which they stand in the log: what is in its oldest segments is in front.
	live    *list.List
	bytes   int64 // of them
	segment int64 // size at which the log begins a new segment
	newest  uint64
}

// entry is something that is kept until it is dropped: a message, a duplicate id, a durable subscription.
type entry struct {
	what    encoder
	segment uint64
	bytes   int64
	place   *list.Element
}

// encoder writes an entry as an operation.
type encoder interface{ encode(b []byte) []byte }

// keep writes an entry, or writes it anew.
func (s *store) keep(what encoder) *entry {
	if s == nil {
		return nil
	}
	e := &entry{what: what}
	s.write(e)
	e.place = s.live.PushBack(e)
	return e
}

func (s *store) write(e *entry) {
	s.begin()
	was := len(s.ops)
	s.ops = e.what.encode(s.ops)
	s.bytes -= e.bytes
	e.bytes = int64(len(s.ops) - was)
	s.bytes += e.bytes
	s.fresh = append(s.fresh, e)
}

// drop forgets an entry; nil is none. That it is gone must be in the log too, or follow from what is.
func (s *store) drop(e *entry) {
	if e != nil {
		s.live.Remove(e.place)
		s.bytes -= e.bytes
	}
}

// note adds an operation.
func (s *store) note(op byte, b []byte) {
	s.begin()
	s.ops = append(append(s.ops, op), b...)
}

// begin leaves room for the head of a record.
func (s *store) begin() {
	if len(s.ops) == 0 {
		s.ops = append(s.ops, make([]byte, recordHead)...)
	}
}

// pending is the serial number that the record of the command at hand will have, all that of the last one.
func (s *store) pending() uint64 {
	if s == nil {
		return 0
	}
	return s.log.Next()
}

func (s *store) all() uint64 {
	if s == nil {
		return 0
	}
	return s.log.Next() - 1
}

// commit writes what the command did and returns the serial number of its record; 0 when it did nothing that is kept.
func (s *store) commit(nextID uint64) uint64 {
	if s == nil || len(s.ops) == 0 {
		return 0
	}
	serial := s.append(nextID)
	s.tidy(nextID)
	return serial
}

func (s *store) append(nextID uint64) uint64 {
	binary.LittleEndian.PutUint64(s.ops, nextID)
	segment, serial := s.log.Append(s.ops)
	for i, e := range s.fresh {
		e.segment = segment
		s.fresh[i] = nil
	}
	s.ops, s.fresh = s.ops[:0], s.fresh[:0]
	if cap(s.ops) > keptBuffer {
		s.ops = nil
	}
	return serial
}

// keptBuffer is how large a buffer is kept for the next command.
const keptBuffer = 1 << 20

// tidy frees the oldest segments when the log has begun a new one. Where one old message or duplicate id would keep a whole
// segment, what lives is copied out of it: when the log is twice as large as what lives in it, that is cheap.
func (s *store) tidy(nextID uint64) {
	if s.newest == s.log.Newest() {
		return
	}
	for s.log.Bytes() > 2*s.bytes+4*s.segment {
		oldest := s.log.Oldest()
		if oldest == s.log.Newest() {
			break
		}
		for e := s.front(); e != nil && e.segment == oldest; e = s.front() {
			s.write(e)
			s.live.MoveToBack(e.place)
			e.segment = s.log.Newest() // at least; append knows
			if len(s.ops) > keptBuffer {
				s.append(nextID)
			}
		}
		if len(s.ops) > 0 {
			s.append(nextID)
		}
		s.log.Free(oldest + 1)
	}
	if e := s.front(); e != nil {
		s.log.Free(e.segment)
	} else {
		s.log.Free(s.log.Newest())
	}
	s.newest = s.log.Newest()
}

// front is the entry that stands first in the log.
func (s *store) front() *entry {
	if f := s.live.Front(); f != nil {
		e, _ := f.Value.(*entry)
		return e
	}
	return nil
}

// full is why no message may be added.
func (s *store) full() error {
	if s == nil {
		return nil
	}
	if err := s.log.Full(); err != nil {
		return refuse("the broker's disk is full: %v", err)
	}
	return nil
}

// wait returns when the log keeps pace, or when done is closed.
func (s *store) wait(done <-chan struct{}) {
	if s != nil {
		s.log.Wait(done)
	}
}

// progress is the last record on disk, a channel that is closed when there is news, and why there will be none.
func (s *store) progress() (synced uint64, changed <-chan struct{}, err error) {
	synced, changed = s.log.Progress()
	return synced, changed, s.log.Err()
}

// failed is closed when the log has failed.
func (s *store) failed() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.log.Failed()
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	return s.log.Close()
}

// added keeps a message that has come into queues.
func (s *store) added(copies []*stored) {
	copies = slices.DeleteFunc(slices.Clone(copies), func(m *stored) bool { return !m.persistent || m.queue == "" })
	if s == nil || len(copies) == 0 {
		return
	}
	k := &keptMessage{copies: copies}
	for _, m := range copies {
		m.kept, m.serial = k, s.pending()
	}
	k.entry = s.keep(k)
}

// gone forgets a message in one of its queues.
func (s *store) gone(m *stored) {
	k := m.kept
	if k == nil {
		return
	}
	m.kept = nil
	s.note(opGone, binary.AppendUvarint(nil, m.id))
	k.copies = slices.DeleteFunc(k.copies, func(o *stored) bool { return o == m })
	if len(k.copies) == 0 {
		s.drop(k.entry)
	}
}

// counted keeps how often a message was delivered in vain.
func (s *store) counted(m *stored) {
	if m.kept != nil {
		s.note(opCount, binary.AppendUvarint(binary.AppendUvarint(nil, m.id), uint64(m.deliveries)))
	}
}

// subscribed keeps a durable subscription.
func (s *store) subscribed(q *queue) {
	if s != nil {
		q.kept = &keptSubscription{name: q.name, address: q.address, selector: q.filter.String()}
		q.kept.entry = s.keep(q.kept)
	}
}

func (s *store) unsubscribed(q *queue) {
	if q.kept != nil {
		s.note(opUnsubscribe, appendText(nil, q.name))
		s.drop(q.kept.entry)
	}
}
