package stompd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/msgqueue"
	"tfpilot/internal/msgstore"
)

var _ msgqueue.Receiver = (*subscription)(nil)

// Room reports whether more may wait to be written.
func (s *subscription) Room() bool { return s.conn.out.room() }

// Deliver puts a MESSAGE. The receiver sees it as redelivered once a delivery has failed.
func (s *subscription) Deliver(m *msgstore.Message, from string) {
	b, id := s.conn.b, s.messageID(m)
	pairs := b.pairs[:0]
	pairs = append(pairs,
		frame.Subscription, s.id, frame.MessageId, id, frame.Destination, from,
		"expires", expiresText(m), "redelivered", strconv.FormatBool(m.Deliveries > 0), "priority", "4",
		"persistent", strconv.FormatBool(m.Persistent), "timestamp", strconv.FormatInt(m.At.UnixMilli(), 10))
	for i := range m.Header.Len() {
		key, value := m.Header.GetAt(i)
		switch key {
		case frame.Destination, frame.Subscription, frame.MessageId, "expires", "redelivered", "priority", "persistent",
			"timestamp", frame.ContentLength:
		case frame.Receipt:
			if !b.how.ownReceipt {
				pairs = append(pairs, key, value)
			}
		case frame.Ack:
			if !s.ackHeader || !b.how.ownReceipt { // in Artemis a stray one of the producer comes back too, before its own
				pairs = append(pairs, key, value)
			}
		default:
			pairs = append(pairs, key, value)
		}
	}
	if s.ackHeader {
		pairs = append(pairs, frame.Ack, id)
	}
	pairs = append(pairs, frame.ContentLength, strconv.Itoa(len(m.Body)))
	f := &frame.Frame{Command: frame.MESSAGE, Header: frame.NewHeader(pairs...), Body: m.Body}
	clear(pairs)
	b.pairs = pairs
	s.conn.out.add(outgoing{frame: f, after: m.Serial()})
	b.touched = append(b.touched, s.conn.out)
}

func (s *subscription) messageID(m *msgstore.Message) string {
	return s.id + "," + strconv.FormatUint(m.ID, 10)
}

func expiresText(m *msgstore.Message) string {
	if m.Expires.IsZero() {
		return "0"
	}
	return strconv.FormatInt(m.Expires.UnixMilli(), 10)
}

// find is the place of a message among those that are held, negative when it is not: of hundreds the oldest, mostly.
func (s *subscription) find(id string) int {
	text, ok := strings.CutPrefix(id, s.id)
	number, comma := strings.CutPrefix(text, ",")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || !comma || err != nil {
		return -1
	}
	return slices.IndexFunc(s.Held(), func(m *msgstore.Message) bool { return m.ID == n })
}
