package stompd

import (
	"container/list"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// queue holds messages for the subscriptions that compete for them. The broker's lock guards it.
type queue struct {
	name    string
	address string
	filter  *selector.Selector     // what it takes of its address; nil: all
	kept    *msgstore.Subscription // on disk, of a durable subscription
	passing bool                   // goes when it is empty and nobody listens
	pending *list.List             // of *msgstore.Message, oldest first
	bytes   int                    // of the pending
	subs    []*subscription
	turn    int // whose turn the next message is
	stat    QueueStat
	expired func(q *queue, m *msgstore.Message) // takes what is too old to be delivered
}

func (b *Broker) newQueue(name, address string) *queue {
	return &queue{name: name, address: address, pending: list.New(), expired: func(q *queue, m *msgstore.Message) { b.bury(b.how.expired, q, m) }}
}

// subscription takes messages from one queue to one connection.
type subscription struct {
	id       string
	conn     *conn
	queue    *queue
	selector *selector.Selector
	auto     bool
	// cumulative: an ACK settles all messages up to its own.
	cumulative bool
	window     int // bytes that may be unacknowledged; 0: one message. Of auto: bytes that may come, for good
	held       int // bytes that are, or came
	unacked    []*msgstore.Message
	// cursor is the first pending message that was not yet rejected by the selector: since headers never change, what is
	// before it need not be looked at again. nil: all were.
	cursor *list.Element
}

// room reports whether another message may be delivered.
func (s *subscription) room() bool {
	switch {
	case s.conn.b.how.windowOfMessages:
		return s.auto && s.conn.out.room() || !s.auto && len(s.unacked) < s.window
	case s.auto:
		return s.held < max(s.window, 1) && s.conn.out.room()
	case s.window <= 1:
		return len(s.unacked) == 0
	default:
		return s.held < s.window
	}
}

// append adds a message at the end and gives it to the first subscription in turn that wants it.
func (q *queue) append(m *msgstore.Message) {
	q.stat.Added++
	if isExpired(m, m.At) {
		q.expire(m)
		return
	}
	e := q.pending.PushBack(m)
	q.bytes += size(m)
	for _, s := range q.subs {
		if s.cursor == nil {
			s.cursor = e
		}
	}
	for i := range q.subs {
		s := q.subs[(q.turn+i)%len(q.subs)]
		if s.cursor == e && s.room() {
			if s.selector.Matches(m.Header) {
				q.turn = (q.turn + i + 1) % len(q.subs)
				q.take(e)
				s.deliver(m)
				return
			}
			s.cursor = e.Next()
		}
	}
}

// take removes a pending message and moves the cursors that stood on it.
func (q *queue) take(e *list.Element) {
	next := e.Next()
	for _, s := range q.subs {
		if s.cursor == e {
			s.cursor = next
		}
	}
	q.pending.Remove(e)
	if m, ok := e.Value.(*msgstore.Message); ok {
		q.bytes -= size(m)
	}
}

// serve delivers to a subscription as long as it has room.
func (q *queue) serve(s *subscription) {
	for s.cursor != nil && s.room() {
		e := s.cursor
		m, _ := e.Value.(*msgstore.Message)
		if !s.selector.Matches(m.Header) {
			s.cursor = e.Next()
			continue
		}
		q.take(e)
		if isExpired(m, time.Now()) {
			q.expire(m)
			continue
		}
		s.deliver(m)
	}
}

func isExpired(m *msgstore.Message, now time.Time) bool {
	return !m.Expires.IsZero() && now.After(m.Expires)
}

// expire moves a message that has been taken to where the expired ones go.
func (q *queue) expire(m *msgstore.Message) {
	q.stat.Expired++
	q.expired(q, m)
}

// serveAll delivers to everybody who has room, in turn, one message each at a time.
func (q *queue) serveAll() {
	for range q.subs {
		if len(q.subs) == 0 {
			return
		}
		q.turn = (q.turn + 1) % len(q.subs)
		q.serve(q.subs[q.turn])
	}
}

// pushFront puts messages back before all others, in their order.
func (q *queue) pushFront(back []*msgstore.Message) {
	for _, m := range slices.Backward(back) {
		q.pending.PushFront(m)
		q.bytes += size(m)
	}
	for _, s := range q.subs {
		s.cursor = q.pending.Front()
	}
	q.serveAll()
}

// expireAll moves everything that is too old, as long as there is room for so many bytes, and says how much room is left.
func (q *queue) expireAll(now time.Time, room int64) (left int64) {
	for e := q.pending.Front(); e != nil && room > 0; {
		next := e.Next()
		if m, _ := e.Value.(*msgstore.Message); isExpired(m, now) {
			q.take(e)
			q.expire(m)
			room -= stored(m)
		}
		e = next
	}
	return room
}

func (q *queue) add(s *subscription) {
	s.queue, s.cursor = q, q.pending.Front()
	q.subs = append(q.subs, s)
	q.serve(s)
}

func (q *queue) remove(s *subscription) {
	if i := slices.Index(q.subs, s); i >= 0 {
		q.subs = slices.Delete(q.subs, i, i+1)
	}
}

// deliver sends a message to the subscription's connection. The receiver sees it as redelivered once a delivery has failed.
func (s *subscription) deliver(m *msgstore.Message) {
	destination, how := m.Address, &s.conn.b.how
	if how.namedQueues && strings.HasPrefix(s.queue.name, queuePrefix) {
		destination = s.queue.name
	}
	b, id := s.conn.b, s.messageID(m)
	pairs := b.pairs[:0]
	pairs = append(pairs,
		frame.Subscription, s.id, frame.MessageId, id, frame.Destination, destination,
		"expires", expiresText(m), "redelivered", strconv.FormatBool(m.Deliveries > 0), "priority", "4",
		"persistent", strconv.FormatBool(m.Persistent), "timestamp", strconv.FormatInt(m.At.UnixMilli(), 10))
	own := s.conn.version == "1.2" && !s.auto // has an ack header of ours
	for i := range m.Header.Len() {
		key, value := m.Header.GetAt(i)
		switch key {
		case frame.Destination, frame.Subscription, frame.MessageId, "expires", "redelivered", "priority", "persistent",
			"timestamp", frame.ContentLength:
		case frame.Receipt:
			if !how.ownReceipt {
				pairs = append(pairs, key, value)
			}
		case frame.Ack:
			if !own || !how.ownReceipt { // in Artemis a stray one of the producer comes back too, before its own
				pairs = append(pairs, key, value)
			}
		default:
			pairs = append(pairs, key, value)
		}
	}
	if own {
		pairs = append(pairs, frame.Ack, id)
	}
	pairs = append(pairs, frame.ContentLength, strconv.Itoa(len(m.Body)))
	f := &frame.Frame{Command: frame.MESSAGE, Header: frame.NewHeader(pairs...), Body: m.Body}
	clear(pairs)
	b.pairs = pairs
	s.held += size(m)
	if s.auto {
		s.queue.stat.Acked++
		b.disk.Gone(m)
	} else {
		s.unacked = append(s.unacked, m)
	}
	s.conn.out.add(outgoing{frame: f, after: m.Serial()})
	b.touched = append(b.touched, s.conn.out)
}

// size is what a message takes of a window: about its frame.
func size(m *msgstore.Message) int { return len(m.Body) + 32*m.Header.Len() + 200 }

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
	return slices.IndexFunc(s.unacked, func(m *msgstore.Message) bool { return m.ID == n })
}

// settle ends the message at a place, and all before it when cumulative; refused, they are not wanted.
func (s *subscription) settle(i int, refused bool) {
	first := i
	if s.cumulative {
		first = 0
	}
	b := s.conn.b
	for _, m := range s.unacked[first : i+1] {
		s.held -= size(m)
		s.queue.stat.Acked++
		if refused && b.how.nackBuries {
			b.bury(b.how.deadLetters, s.queue, m)
		} else {
			b.disk.Gone(m)
		}
	}
	if first == 0 { // without moving all that is behind
		clear(s.unacked[:i+1])
		s.unacked = s.unacked[i+1:]
	} else {
		s.unacked = slices.Delete(s.unacked, first, i+1)
	}
	s.queue.serve(s)
}
