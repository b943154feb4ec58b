package msgstore

import (
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// Message is a message in one queue. All but Deliveries stays as it is; the copies in several queues share header and body.
type Message struct {
	ID         uint64
	Address    string
	Header     *frame.Header // the properties, as sent
	Body       []byte
	Persistent bool
	Expires    time.Time // zero: never
	At         time.Time
	// Queue is the one that it is in; empty for one without a name, which ends with the process.
	Queue string
	// Deliveries are those that failed.
	Deliveries int

	kept   *keptMessage // nil: it is not on disk
	serial uint64
}

// Serial is the number of the record that the message is in, for Store.Progress; 0 when nobody has to wait for it.
func (m *Message) Serial() uint64 { return m.serial }

// Size is about what the message takes in memory and on the wire.
func (m *Message) Size() int { return len(m.Body) + 32*m.Header.Len() + 200 }
