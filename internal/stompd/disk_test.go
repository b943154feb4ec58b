package stompd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/seglog"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

func size(t *testing.T, state string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(state, firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A disk of 6 MiB: SENDs are refused when it is full, acknowledgements make room, and then SENDs are taken again. One old message
// stays from the beginning to the end.
func TestAFullDiskRefusesAndPasses(t *testing.T) {
	t.Parallel()
	cfg := stompd.Config{State: t.TempDir(), Queues: []string{queueA}}
	cfg.Log = seglog.Options{SegmentBytes: 256 << 10, Disk: func(n int64) error {
		if info, err := os.Stat(filepath.Join(cfg.State, "reserve")); err == nil {
			n += info.Size()
		}
		if onDisk(t, cfg.State)+n > 6<<20 {
			return syscall.ENOSPC
		}
		return nil
	}}
	addr, stop := serve(t, cfg)
	put(t, dial(t, addr), "old")
	c := dial(t, addr)
	keep := func() error {
		r, err := c.Send(t.Context(), message.TopicSlices, make([]byte, 50<<10), "persistent", "true")
		if err == nil {
			err = r.Wait(t.Context())
		}
		if err != nil {
			c = dial(t, addr) // an ERROR ends it
		}
		return err
	}
	var err error
	sent := 0
	for ; err == nil; sent++ {
		err = keep()
	}
	if !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("got %v", err)
	}
	sent--
	consumer := dial(t, addr)
	for _, queue := range []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS} {
		s := subscribe(t, consumer, stomp.SubscribeOptions{Destination: queue, Window: 1})
		for range sent {
			ack(t, consumer, next(t, s))
		}
	}
	for deadline := time.Now().Add(20 * time.Second); keep() != nil; <-time.After(10 * time.Millisecond) { // it looks every second
		if time.Now().After(deadline) {
			t.Fatal("it has room and refuses")
		}
	}
	if got := onDisk(t, cfg.State); got > 2<<20 {
		t.Errorf("%d bytes of log for a message of 50 kB", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	addr, _ = serve(t, cfg)
	if got := waiting(t, addr, queueA); len(got) != 1 || got[0] != "old" {
		t.Errorf("got %q", got)
	}
}

func TestABrokenDiskEndsTheBroker(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	cfg := stompd.Config{State: t.TempDir()}
	cfg.Log.Disk = func(int64) error {
		if broken.Load() {
			return syscall.EIO
		}
		return nil
	}
	addr, stop := serve(t, cfg)
	c := dial(t, addr)
	put(t, c, "kept")
	broken.Store(true)
	r, err := c.Send(t.Context(), queueA, []byte("lost"), "persistent", "true", "destination-type", "ANYCAST")
	if err == nil {
		err = r.Wait(t.Context())
	}
	if err == nil {
		t.Error("it has a receipt")
	}
	<-c.Done() // by itself
	if err := stop(); !errors.Is(err, syscall.EIO) || exitcode.From(err) != exitcode.StoreFailed {
		t.Errorf("got %v", err)
	}
	cfg.Log.Disk = nil
	_, addr = start(t, cfg)
	if got := waiting(t, addr, queueA); len(got) != 1 || got[0] != "kept" {
		t.Errorf("got %q", got)
	}
}
