package msgqueue

// manners are what ActiveMQ Classic does differently: none of it is Artemis. The conformance suite has a row for each.
type manners struct {
	expired, deadLetters string // queues

	// Addresses.
	namedQueues bool // /queue/X is the queue X: made on demand, and its messages say so
	noIDCache   bool // _AMQ_DUPL_ID is a header like others
	numbers     bool // a selector's number equals a string that looks like it
	noOrigin    bool // what is moved does not say where it was

	// Settling.
	windowOfMessages bool // it counts messages, and 0 is none
	nackBuries       bool
	deliversForever  bool // no limit of deliveries
	forgetsFailures  bool // at the end of the process
	countsAll        bool // every message given back has failed a delivery, at the end of a subscription too
}

func mannersOf(classic bool) manners {
	if !classic {
		return manners{expired: "ExpiryQueue", deadLetters: "DLQ"}
	}
	const dead = "/queue/ActiveMQ.DLQ"
	return manners{
		expired: dead, deadLetters: dead,
		namedQueues: true, noIDCache: true, numbers: true, noOrigin: true,
		windowOfMessages: true, nackBuries: true, deliversForever: true, forgetsFailures: true, countsAll: true,
	}
}
