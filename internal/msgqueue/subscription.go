package msgqueue

import (
	"container/list"
	"math"
	"slices"
	"strings"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// Unlimited is the window of who takes everything.
const Unlimited = math.MaxInt

// Wish is what somebody wants to have.
type Wish struct {
	// Address is that of a queue, or one whose messages are to be gathered for this subscription alone.
	Address string
	// Kind ANYCAST makes a queue of an address that has none.
	Kind string
	// Durable is the name under which messages of an address are gathered for the client when nobody listens, too; empty: they are
	// not.
	Client, Durable string
	// Selector says which messages; empty: all.
	Selector string
	// Auto: what is delivered is settled.
	Auto bool
	// Cumulative: Settle settles all messages up to its own.
	Cumulative bool
	// Window is how many bytes may be unsettled; 0 and 1 are one message. Of Auto: bytes that may come, for good.
	Window int
}

// Receiver is whom a subscription delivers to.
type Receiver interface {
	// Room reports whether it can take more. Only subscriptions that settle by themselves ask: others have their window.
	Room() bool
	// Deliver gives it a message, from where it says; it must not wait.
	Deliver(m *msgstore.Message, from string)
}

// Subscription takes messages from one queue to one receiver.
type Subscription struct {
	addresses  *Addresses
	queue      *queue
	receiver   Receiver
	selector   *selector.Selector
	auto       bool
	cumulative bool
	window     int
	taken      int // bytes of the window
	unsettled  []*msgstore.Message
	// cursor is the first pending message that was not yet rejected by the selector: since headers never change, what is
	// before it need not be looked at again. nil: all were.
	cursor *list.Element
}

// Held are the messages that are not settled, in the order in which they came; until the next call of anything.
func (s *Subscription) Held() []*msgstore.Message { return s.unsettled }

// Serve delivers what there is room for again.
func (s *Subscription) Serve() { s.queue.serve(s) }

// Settle ends the message at a place in Held, and all before it when cumulative; refused, they are not wanted.
func (s *Subscription) Settle(i int, refused bool) {
	first := i
	if s.cumulative {
		first = 0
	}
	for _, m := range s.unsettled[first : i+1] {
		s.taken -= m.Size()
		s.queue.stat.Acked++
		if refused && s.addresses.how.nackBuries {
			s.addresses.bury(s.addresses.how.deadLetters, s.queue, m)
		} else {
			s.addresses.disk.Gone(m)
		}
	}
	if first == 0 { // without moving all that is behind
		clear(s.unsettled[:i+1])
		s.unsettled = s.unsettled[i+1:]
	} else {
		s.unsettled = slices.Delete(s.unsettled, first, i+1)
	}
	s.queue.serve(s)
}

// room reports whether another message may be delivered.
func (s *Subscription) room() bool {
	switch {
	case s.addresses.how.windowOfMessages:
		return s.auto && s.receiver.Room() || !s.auto && len(s.unsettled) < s.window
	case s.auto:
		return s.taken < max(s.window, 1) && s.receiver.Room()
	case s.window <= 1:
		return len(s.unsettled) == 0
	default:
		return s.taken < s.window
	}
}

// deliver gives a message to the receiver.
func (s *Subscription) deliver(m *msgstore.Message) {
	s.taken += m.Size()
	if s.auto {
		s.queue.stat.Acked++
		s.addresses.disk.Gone(m)
	} else {
		s.unsettled = append(s.unsettled, m)
	}
	from := m.Address
	if s.addresses.how.namedQueues && strings.HasPrefix(s.queue.name, queuePrefix) {
		from = s.queue.name
	}
	s.receiver.Deliver(m, from)
}
