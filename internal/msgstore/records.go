package msgstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// recordVersion is that of the records below; a change that an older program would misread needs a higher one.
const recordVersion = 1

// A record is the id of the last message (8 bytes), then operations, each a byte and what belongs to it. Numbers are varints, texts
// have their length before them.
const (
	recordHead = 8

	opAdd         = 1 // a message: id, queue and deliveries of each copy, then the message; in place of earlier ones with these ids
	opGone        = 2 // id: settled, or moved
	opCount       = 3 // id, deliveries
	opID          = 4 // address, its serial number there, duplicate id
	opSubscribe   = 5 // name, address, selector of a durable subscription
	opUnsubscribe = 6 // name
)

// keptMessage is a message with the queues that it is in.
type keptMessage struct {
	*entry

	copies []*Message
}

func (k *keptMessage) encode(b []byte) []byte {
	b = binary.AppendUvarint(append(b, opAdd), uint64(len(k.copies)))
	for _, m := range k.copies {
		b = binary.AppendUvarint(appendText(binary.AppendUvarint(b, m.ID), m.Queue), uint64(m.Deliveries))
	}
	m := k.copies[0]
	expires := int64(0)
	if !m.Expires.IsZero() {
		expires = m.Expires.UnixMilli()
	}
	b = binary.AppendVarint(binary.AppendVarint(b, m.At.UnixMilli()), expires)
	b = binary.AppendUvarint(appendText(b, m.Address), uint64(m.Header.Len()))
	for i := range m.Header.Len() {
		key, value := m.Header.GetAt(i)
		b = appendText(appendText(b, key), value)
	}
	return append(binary.AppendUvarint(b, uint64(len(m.Body))), m.Body...)
}

// keptID is a duplicate id that an address has seen.
type keptID struct {
	*entry

	address string
	serial  uint64
	id      string
}

func (k *keptID) encode(b []byte) []byte {
	return appendText(binary.AppendUvarint(appendText(append(b, opID), k.address), k.serial), k.id)
}

// Subscription is a durable one.
type Subscription struct {
	*entry

	Name, Address, Selector string
}

func (k *Subscription) encode(b []byte) []byte {
	return appendText(appendText(appendText(append(b, opSubscribe), k.Name), k.Address), k.Selector)
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decoder reads a record; its first error stays.
type decoder struct {
	b   []byte
	err error
}

var errShort = errors.New("a record is shorter than it says")

func (d *decoder) number() uint64 {
	n, used := binary.Uvarint(d.b)
	if used <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) signed() int64 {
	n, used := binary.Varint(d.b)
	if used <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[used:]
	return n
}

// text is a copy: the record is not ours.
func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errShort
		return ""
	}
	text := string(d.b[:n])
	d.b = d.b[n:]
	return text
}

// message reads what keptMessage wrote.
func (d *decoder) message() []*Message {
	n := d.number()
	if n == 0 || n > uint64(len(d.b)) {
		d.err = errShort
		return nil
	}
	copies := make([]*Message, n)
	for i := range copies {
		copies[i] = &Message{ID: d.number(), Queue: d.text(), Deliveries: int(d.number()), Persistent: true}
	}
	at, expires, address := time.UnixMilli(d.signed()), d.signed(), d.text()
	header := frame.NewHeader()
	for range min(d.number(), uint64(len(d.b))) {
		key := d.text()
		header.Add(key, d.text())
	}
	body := []byte(d.text())
	for _, m := range copies {
		m.At, m.Address, m.Header, m.Body = at, address, header, body
		if expires != 0 {
			m.Expires = time.UnixMilli(expires)
		}
	}
	return copies
}
