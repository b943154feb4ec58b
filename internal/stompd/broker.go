package stompd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/msgstore"
	"tfpilot/internal/seglog"
	"tfpilot/internal/stompframe"
)

// Config is how a broker behaves. The zero value accepts everybody and has the production addresses.
type Config struct {
	// Mode is the broker that is imitated.
	Mode Mode `toml:"mode" default:"artemis" help:"broker that is imitated: artemis or classic"`
	// Users are login -> passcode; empty accepts everybody.
	Users map[string]string `toml:"-"`
	// FanOut binds queues to addresses; nil is DefaultFanOut.
	FanOut map[string][]string `toml:"-"`
	// Hidden are queues of a fan-out that have no address of their own, as in an Artemis that is set up badly: a SUBSCRIBE to
	// one is accepted, and nothing ever comes. Classic knows no such thing.
	Hidden []string `toml:"-"`
	// Queues are further queues, each on an address of its own name.
	Queues []string `toml:"queues" help:"further queues"`
	// MaxDeliveries of a message before it goes to the dead letters.
	MaxDeliveries int `toml:"max_deliveries" default:"10" help:"failed deliveries before a message goes to the dead letters"`
	// IDCacheSize is how many _AMQ_DUPL_IDs an address remembers.
	IDCacheSize int `toml:"id_cache_size" default:"20000" help:"duplicate ids that an address remembers"`
	// QueueLimit is how many messages a queue holds before a SEND to it is refused.
	QueueLimit int `toml:"queue_limit" default:"1000000" help:"messages in a queue before a SEND is refused"`
	// QueueBytes is how much they may take.
	QueueBytes int `toml:"queue_bytes" default:"2147483648" help:"bytes in a queue before a SEND is refused"`
	// State is a folder in which persistent messages, acknowledgements, durable subscriptions and duplicate ids outlive the
	// process; its user keeps others out of it. Empty: all is in memory.
	State string `toml:"-"`
	// HeartBeat is what the broker offers and asks for.
	HeartBeat time.Duration `toml:"heart_beat" default:"10s" help:"heart-beat interval in both directions"`
	// ExpiryScan is how often queues are searched for expired messages.
	ExpiryScan time.Duration     `toml:"expiry_scan" default:"30s" help:"time between two searches for expired messages"`
	Limits     stompframe.Limits `toml:"-"`
	Logger     *slog.Logger      `toml:"-"`
	// Fault is for tests: it is asked about every frame, in either direction, and says what goes wrong with it; nil: nothing
	// does. Heart-beats pass unasked. Several connections ask at once, and each in both directions. It may wait, for an event or
	// for Passing.Done: the frame is late then, with all behind it in this direction, and a client that is not written to hears
	// no heart-beats either. A RECEIPT that never comes, once:
	//
	//	var lost atomic.Bool
	//	cfg.Fault = func(p stompd.Passing) stompd.Fault {
	//		return stompd.Fault{Drop: !p.In && p.Command == frame.RECEIPT && lost.CompareAndSwap(false, true)}
	//	}
	Fault func(Passing) Fault `toml:"-"`
	// Log is for tests: how the state is written.
	Log seglog.Options `toml:"-"`
}

// DefaultFanOut is the production system's, without the queue of a component that is not ours to run.
func DefaultFanOut() map[string][]string {
	return map[string][]string{
		message.TopicSlices:  {message.QueueSlicesWorkers, message.QueueSlicesIDDS},
		message.TopicResults: {message.QueueResultsFast, message.QueueResultsIDDS},
	}
}

// Broker is the embedded broker. Make one with New and run it with Serve.
type Broker struct {
	cfg Config
	how manners
	log *slog.Logger

	mu        sync.Mutex
	queues    map[string]*queue   // by name
	bound     map[string][]*queue // by address
	seen      map[string]*msgstore.IDs
	unheard   map[string]bool // addresses without a queue that were sent to
	nextID    uint64
	unrouted  uint64
	duplicate uint64
	disk      *msgstore.Store // nil: in memory
	conns     map[*conn]struct{}
	touched   []*outbox // by the command at hand, which have something to be written
	pairs     []string  // headers of the frame that is being made
	accepted  uint64
	closing   bool
}

// New makes a broker with its queues, and with what its state holds: then Serve must be called, which closes it.
func New(cfg Config) (*Broker, error) {
	config.Defaults(&cfg)
	how, err := mannersOf(cfg.Mode)
	if err != nil {
		return nil, err
	}
	if cfg.Limits.HeaderBytes == 0 {
		cfg.Limits.HeaderBytes = how.headerBytes
	}
	if cfg.FanOut == nil {
		cfg.FanOut = DefaultFanOut()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		cfg: cfg, how: how, log: cfg.Logger, queues: map[string]*queue{}, bound: map[string][]*queue{},
		seen: map[string]*msgstore.IDs{}, unheard: map[string]bool{}, conns: map[*conn]struct{}{},
	}
	for _, name := range append([]string{how.deadLetters, how.expired}, cfg.Queues...) {
		if b.queues[name] == nil {
			b.bind(name, name)
		}
	}
	for address, names := range cfg.FanOut {
		for _, name := range names {
			if b.queues[name] != nil {
				return nil, exitcode.New(exitcode.BadConfig, "queue %s is bound to %s and to another address", name, address)
			}
			b.bind(address, name)
		}
	}
	if cfg.State != "" {
		if err := b.restore(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// unlock ends what is done for nobody's command, and wakes who has something to write.
func (b *Broker) unlock() {
	b.disk.Commit(b.nextID)
	for _, o := range b.touched {
		o.signal()
	}
	b.touched = b.touched[:0]
	b.mu.Unlock()
}

func (b *Broker) bind(address, name string) {
	q := b.newQueue(name, address)
	b.queues[name] = q
	b.bound[address] = append(b.bound[address], q)
}

// Serve accepts connections until ctx ends, then closes them all and returns nil; or until its state cannot be written any
// more, with the error. It closes ln.
func (b *Broker) Serve(ctx context.Context, ln net.Listener) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		if closing := b.disk.Close(); closing != nil {
			err = exitcode.New(exitcode.StoreFailed, "keeping the broker's state: %w", closing)
		}
	}()
	wg.Go(func() { b.expire(ctx) })
	wg.Go(func() {
		select {
		case <-b.disk.Failed():
			cancel()
		case <-ctx.Done():
		}
		ln.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closing = true
		for c := range b.conns {
			c.close()
		}
	})
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accepting connections: %w", err)
			}
			// Out of descriptors or the like: others must go on, and this passes.
			b.log.ErrorContext(ctx, "accepting a connection", slog.Any("err", err))
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		wg.Go(func() { b.serve(nc) })
	}
}

// QueueStat is the state of one queue.
type QueueStat struct {
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
func (b *Broker) Stats() []QueueStat {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []QueueStat
	for _, q := range b.queues {
		s := q.stat
		s.Name, s.Address, s.Depth, s.Consumers = q.name, q.address, q.pending.Len(), len(q.subs)
		for _, sub := range q.subs {
			s.InFlight += len(sub.unacked)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b QueueStat) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Unrouted counts messages sent to addresses without a queue, Duplicates those dropped for their _AMQ_DUPL_ID.
func (b *Broker) Unrouted() (unrouted, duplicates uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unrouted, b.duplicate
}
