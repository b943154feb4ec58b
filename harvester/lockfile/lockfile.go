// Package lockfile keeps a harvester's state folder for one harvester, also on a file system that several machines share.
//
// On one machine the kernel's lock on a file decides: it ends with the process. Not every network file system hands such a lock on
// to other machines, so the holder also renews a file that says who it is. Whoever finds the name of another machine in it
// watches whether it is renewed: clocks of machines are not compared. One goroutine, which Release ends.
package lockfile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"tfpilot/internal/exitcode"
)

// Names in the folder.
const (
	lockName  = "lock"
	ownerName = "owner.json"
)

// missedBeats is how many renewals have to fail to come before a holder on another machine counts as gone.
const missedBeats = 3

// Owner is who holds a folder.
type Owner struct {
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	// Beat counts renewals.
	Beat uint64 `json:"beat"`
}

// String is who it is in words.
func (o Owner) String() string {
	return fmt.Sprintf("process %d on %s, since %s", o.PID, o.Host, o.Since.Format(time.DateTime+" MST"))
}

func (o Owner) same(other Owner) bool {
	return o.Host == other.Host && o.PID == other.PID && o.Since.Equal(other.Since)
}

// Config says who we are.
type Config struct {
	// Beat is the time between two renewals (default 5 s).
	Beat time.Duration
	// Host is the name of this machine (default: as the system says).
	Host string
}

// Hold is a folder that is ours.
type Hold struct {
	dir   string
	owner Owner
	lock  *os.File
	stop  context.CancelFunc
	done  chan struct{}
}

// Acquire makes a folder ours. The context that it returns ends with its cause when another one takes it from us all the same.
func Acquire(ctx context.Context, dir string, cfg Config) (*Hold, context.Context, error) {
	host, err := os.Hostname()
	if cfg.Host = cmp.Or(cfg.Host, host); cfg.Host == "" {
		return nil, nil, exitcode.New(exitcode.StoreFailed, "this machine has no name: %w", err)
	}
	cfg.Beat = cmp.Or(cfg.Beat, 5*time.Second)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, exitcode.New(exitcode.StoreFailed, "locking the state folder: %w", err)
	}
	h := &Hold{dir: dir, owner: Owner{Host: cfg.Host, PID: os.Getpid(), Since: time.Now().UTC().Round(time.Millisecond)}, lock: f, done: make(chan struct{})}
	if err := h.take(ctx, cfg.Beat); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	beating, stop := context.WithCancel(context.WithoutCancel(ctx)) // it holds until it is released
	held, lose := context.WithCancelCause(ctx)
	h.stop = stop
	go h.renew(beating, cfg.Beat, lose)
	return h, held, nil
}

// So often, so far apart, the lock is asked for.
const (
	tries    = 5
	triesGap = 50 * time.Millisecond
)

// seize asks for the lock; whoever asks [Holder] has it for a moment too.
func (h *Hold) seize(ctx context.Context) error {
	for try := 1; ; try++ {
		err := syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if try == tries || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-time.After(triesGap):
		case <-ctx.Done():
			return err
		}
	}
}

// take waits until nobody else has it, or says who does.
func (h *Hold) take(ctx context.Context, beat time.Duration) error {
	err := h.seize(ctx)
	other, found := read(h.dir)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return heldBy(h.dir, other, found)
	case err != nil && !errors.Is(err, syscall.ENOLCK) && !errors.Is(err, syscall.EOPNOTSUPP): // the beat decides where locks do not work
		return exitcode.New(exitcode.StoreFailed, "locking the state folder: %w", err)
	case found && (err != nil || other.Host != h.owner.Host):
		wait := time.NewTimer(missedBeats * beat)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if now, still := read(h.dir); still && now != other {
			return heldBy(h.dir, now, true)
		}
	}
	return h.write()
}

func heldBy(dir string, o Owner, known bool) error {
	who := "another process"
	if known {
		who = o.String()
	}
	return exitcode.WithNext(exitcode.New(exitcode.StateLocked, "%s is held by %s", dir, who), "end it, or choose another --state")
}

// renew says that we are still here, and finds out when we are no longer who holds it.
func (h *Hold) renew(ctx context.Context, beat time.Duration, lose context.CancelCauseFunc) {
	defer close(h.done)
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if now, found := read(h.dir); found && !now.same(h.owner) {
			lose(heldBy(h.dir, now, true))
			return
		}
		h.owner.Beat++
		_ = h.write() // a full disk passes, and is told by the store
	}
}

func (h *Hold) write() error {
	b, err := json.Marshal(h.owner)
	if err == nil {
		err = renameio.WriteFile(filepath.Join(h.dir, ownerName), b, 0o600)
	}
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "saying who holds the state folder: %w", err)
	}
	return nil
}

// Release gives the folder to whoever comes.
func (h *Hold) Release() {
	h.stop()
	<-h.done
	if now, found := read(h.dir); found && now.same(h.owner) {
		_ = os.Remove(filepath.Join(h.dir, ownerName)) // whoever finds it reads that we are gone, or waits a little
	}
	_ = h.lock.Close()
}

// Holder is who holds a folder; false when nobody does. One on another machine counts as there until somebody takes its place.
func Holder(dir string) (Owner, bool, error) {
	o, found := read(dir)
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return Owner{}, false, nil
	}
	if err != nil {
		return Owner{}, false, exitcode.New(exitcode.StoreFailed, "looking at the lock of the state folder: %w", err)
	}
	defer func() { _ = f.Close() }() // and with it the lock, if there was none
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	host, _ := os.Hostname()
	return o, errors.Is(err, syscall.EWOULDBLOCK) || found && o.Host != host, nil
}

// read is false for a folder that nobody held, or left in order.
func read(dir string) (o Owner, found bool) {
	b, err := os.ReadFile(filepath.Join(dir, ownerName))
	return o, err == nil && json.Unmarshal(b, &o) == nil
}
