package stompd

import "tfpilot/internal/exitcode"

// Mode names the broker that is imitated.
type Mode string

// The brokers.
const (
	Artemis Mode = "artemis"
	Classic Mode = "classic" // ActiveMQ Classic 5.17
)

// manners are what Classic does differently on connections: none of it is Artemis. The conformance suite has a row for each, and for
// those of internal/msgqueue, which are what becomes of messages.
type manners struct {
	// Connections.
	endures       bool // an ERROR that is no violation of the protocol leaves the connection open
	ownClientID   bool // a client-id is one connection's
	patient       bool // no limit of silence for who promised no heart-beats
	lateFirstBeat bool // after two intervals
	headerBytes   int  // limit; 0: that of the reader

	// Messages and acknowledging.
	ownReceipt   bool // receipt is not one of the message's headers
	prefetchOnly bool // consumer-window-size is Artemis' alone
	holdsACK     bool // an ACK in a transaction waits for COMMIT, and an unknown transaction is an ERROR
	lateACK      bool // an ACK for what UNSUBSCRIBE gave back has a RECEIPT
	sharedIDs    bool // subscriptions of a connection may have the same id
}

func mannersOf(m Mode) (manners, error) {
	switch m {
	case Artemis:
		return manners{}, nil
	case Classic:
		return manners{
			endures: true, ownClientID: true, patient: true, lateFirstBeat: true, headerBytes: 10 << 10,
			ownReceipt: true, prefetchOnly: true, holdsACK: true, lateACK: true, sharedIDs: true,
		}, nil
	}
	return manners{}, exitcode.New(exitcode.BadConfig, "mode %q is neither %s nor %s", m, Artemis, Classic)
}
