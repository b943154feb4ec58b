package msgstore

import (
	"container/list"
	"encoding/binary"
	"math"
	"slices"

	"tfpilot/internal/seglog"
)

// Store is what is kept, and the log that it is kept in.
type Store struct {
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
func (s *Store) keep(what encoder) *entry {
	if s == nil {
		return nil
	}
	e := &entry{what: what}
	s.write(e)
	e.place = s.live.PushBack(e)
	return e
}

func (s *Store) write(e *entry) {
	s.begin()
	was := len(s.ops)
	s.ops = e.what.encode(s.ops)
	s.bytes -= e.bytes
	e.bytes = int64(len(s.ops) - was)
	s.bytes += e.bytes
	s.fresh = append(s.fresh, e)
}

// drop forgets an entry; nil is none. That it is gone must be in the log too, or follow from what is.
func (s *Store) drop(e *entry) {
	if e != nil {
		s.live.Remove(e.place)
		s.bytes -= e.bytes
	}
}

// note adds an operation.
func (s *Store) note(op byte, b []byte) {
	s.begin()
	s.ops = append(append(s.ops, op), b...)
}

// begin leaves room for the head of a record.
func (s *Store) begin() {
	if len(s.ops) == 0 {
		s.ops = append(s.ops, make([]byte, recordHead)...)
	}
}

// All is the serial number of the last record.
func (s *Store) All() uint64 {
	if s == nil {
		return 0
	}
	return s.log.Next() - 1
}

// Commit writes what the command did and returns the serial number of its record; 0 when it did nothing that is kept.
func (s *Store) Commit(nextID uint64) uint64 {
	if s == nil || len(s.ops) == 0 {
		return 0
	}
	serial := s.append(nextID)
	s.tidy(nextID)
	return serial
}

func (s *Store) append(nextID uint64) uint64 {
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
func (s *Store) tidy(nextID uint64) {
	slack, full := 4*s.segment, s.log.Full() != nil
	if full {
		slack = 0 // what can go has to go now
	} else if s.newest == s.log.Newest() {
		return
	}
	for s.log.Bytes() > 2*s.bytes+slack {
		oldest := s.log.Oldest()
		if oldest == s.log.Newest() || full && !s.nearlyEmpty(oldest) {
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

// nearlyEmpty reports whether what lives in the oldest segment finds room elsewhere even on a full disk.
func (s *Store) nearlyEmpty(oldest uint64) bool {
	var bytes int64
	for place := s.live.Front(); place != nil; place = place.Next() {
		e, _ := place.Value.(*entry)
		if e.segment != oldest {
			break
		}
		if bytes += e.bytes; bytes > s.segment/32 {
			return false
		}
	}
	return true
}

// front is the entry that stands first in the log.
func (s *Store) front() *entry {
	if f := s.live.Front(); f != nil {
		e, _ := f.Value.(*entry)
		return e
	}
	return nil
}

// Full is why no message may be added: the disk is full.
func (s *Store) Full() error {
	if s == nil {
		return nil
	}
	return s.log.Full()
}

// Largest is how many bytes the persistent messages of one command may have.
func (s *Store) Largest() int64 {
	if s == nil {
		return math.MaxInt64
	}
	return s.log.Largest()
}

// Ready reports whether the log keeps pace, or is full and to be asked why.
func (s *Store) Ready() bool { return s == nil || s.log.Ready() }

// Wait returns when the log is ready, or when done is closed. Others may have been quicker.
func (s *Store) Wait(done <-chan struct{}) {
	if s != nil {
		s.log.Wait(done)
	}
}

// Progress is the last record on disk, a channel that is closed when there is news, and why there will be none.
func (s *Store) Progress() (synced uint64, changed <-chan struct{}, err error) {
	synced, changed = s.log.Progress()
	return synced, changed, s.log.Err()
}

// Failed is closed when the log has failed.
func (s *Store) Failed() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.log.Failed()
}

// Close writes what waits, and ends the log.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	return s.log.Close()
}

// Add keeps a message that has come into queues.
func (s *Store) Add(copies []*Message) {
	copies = slices.DeleteFunc(slices.Clone(copies), func(m *Message) bool { return !m.Persistent || m.Queue == "" })
	if s == nil || len(copies) == 0 {
		return
	}
	k := &keptMessage{copies: copies}
	for _, m := range copies {
		m.kept, m.serial = k, s.log.Next()
	}
	k.entry = s.keep(k)
}

// Gone forgets a message in one of its queues.
func (s *Store) Gone(m *Message) {
	k := m.kept
	if k == nil {
		return
	}
	m.kept = nil
	s.note(opGone, binary.AppendUvarint(nil, m.ID))
	k.copies = slices.DeleteFunc(k.copies, func(o *Message) bool { return o == m })
	if len(k.copies) == 0 {
		s.drop(k.entry)
	}
}

// Counted keeps how often a message was delivered in vain.
func (s *Store) Counted(m *Message) {
	if m.kept != nil {
		s.note(opCount, binary.AppendUvarint(binary.AppendUvarint(nil, m.ID), uint64(m.Deliveries)))
	}
}

// Subscribed keeps a durable subscription.
func (s *Store) Subscribed(name, address, selector string) *Subscription {
	if s == nil {
		return nil
	}
	k := &Subscription{Name: name, Address: address, Selector: selector}
	k.entry = s.keep(k)
	return k
}

// Unsubscribed forgets one; nil is none.
func (s *Store) Unsubscribed(k *Subscription) {
	if k != nil {
		s.note(opUnsubscribe, appendText(nil, k.Name))
		s.drop(k.entry)
	}
}
