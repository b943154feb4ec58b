package stompd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
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

	disk *msgstore.Store // nil: in memory

	mu        sync.Mutex
	addresses *msgqueue.Addresses
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
	disk, was, err := openState(cfg)
	if err != nil {
		return nil, err
	}
	addresses, err := msgqueue.New(disk, was, msgqueue.Config{
		Classic: cfg.Mode == Classic, FanOut: cfg.FanOut, Queues: cfg.Queues, Hidden: cfg.Hidden, MaxDeliveries: cfg.MaxDeliveries,
		IDCacheSize: cfg.IDCacheSize, QueueLimit: cfg.QueueLimit, QueueBytes: cfg.QueueBytes, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return &Broker{cfg: cfg, how: how, log: cfg.Logger, disk: disk, addresses: addresses, conns: map[*conn]struct{}{}}, nil
}

// openState opens what outlives the process; nil is nothing.
func openState(cfg Config) (*msgstore.Store, msgstore.Restored, error) {
	if cfg.State == "" {
		return nil, msgstore.Restored{}, nil
	}
	options := cfg.Log
	options.Logger = cfg.Logger
	disk, was, err := msgstore.Open(cfg.State, options, cfg.IDCacheSize)
	switch {
	case errors.Is(err, seglog.ErrNewer):
		return nil, was, exitcode.New(exitcode.StoreVersion, "opening the broker's state: %w", err)
	case err != nil:
		return nil, was, exitcode.New(exitcode.StoreFailed, "opening the broker's state: %w", err)
	}
	return disk, was, nil
}

// unlock ends what is done for nobody's command, and wakes who has something to write.
func (b *Broker) unlock() {
	b.addresses.Commit()
	for _, o := range b.touched {
		o.signal()
	}
	b.touched = b.touched[:0]
	b.mu.Unlock()
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

// expire moves expired messages away until ctx ends.
func (b *Broker) expire(ctx context.Context) {
	t := time.NewTicker(b.cfg.ExpiryScan)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			for b.expireSome(ctx, now) {
			}
		}
	}
}

// expireSome moves as much of what is expired as may be written at once, and reports whether there may be more.
func (b *Broker) expireSome(ctx context.Context, now time.Time) (more bool) {
	b.disk.Wait(ctx.Done())
	b.mu.Lock()
	defer b.unlock()
	return ctx.Err() == nil && b.addresses.Expire(now)
}

// Stats are the named queues in the order of their names.
func (b *Broker) Stats() []msgqueue.Stat {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addresses.Stats()
}

// Unrouted counts messages sent to addresses without a queue, and those dropped for their _AMQ_DUPL_ID.
func (b *Broker) Unrouted() (unrouted, duplicates uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addresses.Unrouted()
}
