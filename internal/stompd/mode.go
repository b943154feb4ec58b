package stompd

import "tfpilot/internal/exitcode"

// Mode names the broker that is imitated.
type Mode string

// The brokers.
const (
	Artemis Mode = "artemis"
	Classic Mode = "classic" // ActiveMQ Classic 5.17
)

// manners are what Classic does differently: none of it is Artemis. The conformance suite has a row for each.
type manners struct {
	expired, deadLetters string // queues

	// Connections.
	endures       bool // an ERROR that is no violation of the protocol leaves the connection open
	ownClientID   bool // a client-id is one connection's
	patient       bool // no limit of silence for who promised no heart-beats
	lateFirstBeat bool // after two intervals
	headerBytes   int  // limit; 0: that of the reader

	// Addresses.
	namedQueues bool // /queue/X is the queue X: made on demand, and its messages say so
	noIDCache   bool // _AMQ_DUPL_ID is a header like others
	ownReceipt  bool // receipt is not one of the message's headers
	numbers     bool // a selector's number equals a string that looks like it

	// Acknowledging.
	windowOfMessages bool // prefetchSize counts messages, and 0 is none
	nackBuries       bool
	deliversForever  bool // no limit of deliveries
	forgetsFailures  bool // at the end of the process
	countsAll        bool // every message given back has failed a delivery, at UNSUBSCRIBE too
	holdsACK         bool // an ACK in a transaction waits for COMMIT, and an unknown transaction is an ERROR
	lateACK          bool // an ACK for what UNSUBSCRIBE gave back has a RECEIPT
	sharedIDs        bool // subscriptions of a connection may have the same id
}

func mannersOf(m Mode) (manners, error) {
	switch m {
	case Artemis:
		return manners{expired: "ExpiryQueue", deadLetters: "DLQ"}, nil
	case Classic:
		const dead = "/queue/ActiveMQ.DLQ"
		return manners{
			expired: dead, deadLetters: dead,
			endures: true, ownClientID: true, patient: true, lateFirstBeat: true, headerBytes: 10 << 10,
			namedQueues: true, noIDCache: true, ownReceipt: true, numbers: true,
			windowOfMessages: true, nackBuries: true, deliversForever: true, forgetsFailures: true, countsAll: true, holdsACK: true, lateACK: true, sharedIDs: true,
		}, nil
	}
	return manners{}, exitcode.New(exitcode.BadConfig, "mode %q is neither %s nor %s", m, Artemis, Classic)
}
