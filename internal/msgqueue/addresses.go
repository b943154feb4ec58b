package msgqueue

import (
	"log/slog"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/msgstore"
)

// Config is what addresses there are, and what is done on them. Nothing in it has a default: the broker has said it all.
type Config struct {
	// Classic imitates ActiveMQ Classic, otherwise Artemis.
	Classic bool
	// FanOut binds queues to addresses; Queues are further ones, each on an address of its own name.
	FanOut map[string][]string
	Queues []string
	// Hidden are queues of a fan-out that have no address of their own: who subscribes to one has a topic.
	Hidden []string
	// MaxDeliveries of a message before it goes to the dead letters.
	MaxDeliveries int
	// IDCacheSize is how many duplicate ids an address remembers.
	IDCacheSize int
	// QueueLimit and QueueBytes are what a queue holds before a message to it is refused.
	QueueLimit, QueueBytes int
	Logger                 *slog.Logger
}

// Addresses are all of a broker, with the queues bound to them. Its lock guards them, and all that is reached from them.
type Addresses struct {
	cfg       Config
	how       manners
	log       *slog.Logger
	disk      *msgstore.Store     // nil: in memory
	queues    map[string]*queue   // by name
	bound     map[string][]*queue // by address
	seen      map[string]*msgstore.IDs
	unheard   map[string]bool // addresses without a queue that were sent to
	nextID    uint64
	unrouted  uint64
	duplicate uint64
}

// New makes the addresses with their queues, and with what the disk held; a nil disk is none.
func New(disk *msgstore.Store, was msgstore.Restored, cfg Config) (*Addresses, error) {
	how := mannersOf(cfg.Classic)
	a := &Addresses{
		cfg: cfg, how: how, log: cfg.Logger, disk: disk,
		queues: map[string]*queue{}, bound: map[string][]*queue{}, seen: map[string]*msgstore.IDs{}, unheard: map[string]bool{},
	}
	for _, name := range append([]string{how.deadLetters, how.expired}, cfg.Queues...) {
		if a.queues[name] == nil {
			a.bind(name, name)
		}
	}
	for address, names := range cfg.FanOut {
		for _, name := range names {
			if a.queues[name] != nil {
				return nil, exitcode.New(exitcode.BadConfig, "queue %s is bound to %s and to another address", name, address)
			}
			a.bind(address, name)
		}
	}
	a.restore(was)
	return a, nil
}

func (a *Addresses) bind(address, name string) {
	q := a.newQueue(name, address)
	a.queues[name] = q
	a.bound[address] = append(a.bound[address], q)
}

// Commit ends a command: what it did is one record on disk, whose serial number it returns; 0 when it did nothing that is kept.
func (a *Addresses) Commit() uint64 { return a.disk.Commit(a.nextID) }

// Stat is the state of one queue.
type Stat struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Depth     int    `json:"depth"`
	InFlight  int    `json:"in_flight"`
	Consumers int    `json:"consumers"`
	Added     uint64 `json:"added"`
	Acked     uint64 `json:"acked"`
	Dead      uint64 `json:"dead"`
	Expired   uint64 `json:"expired"`
}

// Stats are the named queues in the order of their names.
func (a *Addresses) Stats() []Stat {
	var out []Stat
	for _, q := range a.queues {
		s := q.stat
		s.Name, s.Address, s.Depth, s.Consumers = q.name, q.address, q.pending.Len(), len(q.subs)
		for _, sub := range q.subs {
			s.InFlight += len(sub.unsettled)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Stat) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Unrouted counts messages sent to addresses without a queue, and those dropped for their _AMQ_DUPL_ID.
func (a *Addresses) Unrouted() (unrouted, duplicates uint64) { return a.unrouted, a.duplicate }
