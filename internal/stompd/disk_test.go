package stompd_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gostomp "github.com/go-stomp/stomp/v3"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/seglog"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

func size(t *testing.T, state string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(state, firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// small is a disk of so many bytes.
func small(t *testing.T, state string, bytes int64) func(int64) error {
	t.Helper()
	return func(n int64) error {
		if info, err := os.Stat(filepath.Join(state, "reserve")); err == nil {
			n += info.Size()
		}
		if onDisk(t, state)+n > bytes {
			return syscall.ENOSPC
		}
		return nil
	}
}

// A disk of 6 MiB: SENDs are refused when it is full, acknowledgements make room, and then SENDs are taken again. One old message
// stays from the beginning to the end.
func TestAFullDiskRefusesAndPasses(t *testing.T) {
	t.Parallel()
	cfg := stompd.Config{State: t.TempDir(), Queues: []string{queueA}}
	cfg.Log = seglog.Options{SegmentBytes: 256 << 10, ReserveBytes: 4 << 20, Disk: small(t, cfg.State, 6<<20)}
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
	testkit.Await(t, "the room", func() bool { return keep() == nil }) // it looks every second
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

// Several senders, each quicker than the disk, fill it: what the broker had taken by then must not keep the acknowledgements
// from the disk, which are behind it in the log.
func TestAcknowledgementsGoOnAfterABurstFilledTheDisk(t *testing.T) {
	t.Parallel()
	cfg := stompd.Config{State: t.TempDir()}
	cfg.Log = seglog.Options{SegmentBytes: 1 << 20, ReserveBytes: 6 << 20, Disk: small(t, cfg.State, 12<<20)}
	addr, _ := serve(t, cfg)
	body := strings.Repeat("x", 500<<10)
	const kept = 8
	first := dial(t, addr)
	for range kept {
		send(t, first, message.TopicSlices, body, "persistent", "true")
	}
	var senders sync.WaitGroup
	for range 4 {
		c := dial(t, addr)
		senders.Go(func() {
			for range 20 {
				if _, err := c.Send(t.Context(), message.TopicSlices, []byte(body), "persistent", "true"); err != nil {
					break
				}
			}
			<-c.Done() // the disk is full: one is refused
		})
	}
	senders.Wait()
	another := func() error {
		r, err := dial(t, addr).Send(t.Context(), message.TopicSlices, []byte("x"), "persistent", "true")
		if err == nil {
			err = r.Wait(t.Context())
		}
		return err
	}
	if err := another(); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("got %v", err)
	}
	consumer := dial(t, addr)
	for _, queue := range []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS} {
		s := subscribe(t, consumer, stomp.SubscribeOptions{Destination: queue, Window: 1})
		for range kept {
			m := next(t, s)
			ack(t, consumer, m)
		}
	}
	testkit.Await(t, "the room that they make", func() bool { return another() == nil }) // it looks every second
}

// writing is a function as a writer.
type writing func()

func (w writing) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

// All of them find room in the backlog, and then wait for the broker, which is held up while it logs: one has room, not all.
func TestManySendersAddNoMoreThanOneToTheBacklog(t *testing.T) {
	t.Parallel()
	const senders, reserve, bytes = 20, 900 << 10, 200 << 10 // a backlog of 300 KiB
	held, allSent := make(chan struct{}), make(chan struct{})
	var sends atomic.Int32
	var largest atomic.Int64
	cfg := stompd.Config{State: t.TempDir()}
	cfg.Fault = func(p stompd.Passing) stompd.Fault {
		if isSend(p) && sends.Add(1) == 1+senders {
			close(allSent)
		}
		return stompd.Fault{}
	}
	cfg.Logger = slog.New(slog.NewTextHandler(writing(sync.OnceFunc(func() {
		close(held)
		<-allSent
	})), nil))
	cfg.Log = seglog.Options{ReserveBytes: reserve, Disk: func(n int64) error {
		if n != reserve {
			largest.Store(max(largest.Load(), n))
		}
		return nil
	}}
	_, addr := start(t, cfg)
	var conns []*stomp.Conn
	for range senders {
		conns = append(conns, dial(t, addr))
	}
	if _, err := dial(t, addr).Send(t.Context(), "nobody", nil); err != nil {
		t.Fatal(err)
	}
	<-held
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			r, err := c.Send(t.Context(), message.TopicSlices, make([]byte, bytes), "persistent", "true")
			if err == nil {
				err = r.Wait(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := largest.Load(); got > reserve/3+bytes+10<<10 {
		t.Errorf("%d bytes were written at once", got)
	}
}

// As one record it would be larger than what is set aside for a full disk.
func TestManyExpiredMessagesAreNotMovedAtOnce(t *testing.T) {
	t.Parallel()
	const messages, reserve, bytes = 20, 900 << 10, 100 << 10
	var largest atomic.Int64
	cfg := stompd.Config{State: t.TempDir(), Queues: []string{queueA}, ExpiryScan: 300 * time.Millisecond}
	cfg.Log = seglog.Options{ReserveBytes: reserve, Disk: func(n int64) error {
		if n != reserve {
			largest.Store(max(largest.Load(), n))
		}
		return nil
	}}
	_, addr := start(t, cfg)
	c := dial(t, addr)
	soon := strconv.FormatInt(time.Now().Add(200*time.Millisecond).UnixMilli(), 10)
	for range messages {
		put(t, c, strings.Repeat("x", bytes), "expires", soon)
	}
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "ExpiryQueue", Window: 1})
	for range messages {
		ack(t, c, next(t, s))
	}
	if got := largest.Load(); got > 2*reserve/3+bytes+10<<10 { // what waits, and as much with one more
		t.Errorf("%d bytes were written at once", got)
	}
}

func TestAMessageLargerThanTheReserveAllowsIsRefused(t *testing.T) {
	t.Parallel()
	cfg := stompd.Config{State: t.TempDir(), Log: seglog.Options{ReserveBytes: 300 << 10}} // 100 KiB at once
	_, addr := start(t, cfg)
	put(t, dial(t, addr), strings.Repeat("x", 90<<10))
	send(t, dial(t, addr), queueA, strings.Repeat("x", 110<<10), "destination-type", "ANYCAST") // it is not kept
	c := dial(t, addr)
	r, err := c.Send(t.Context(), queueA, make([]byte, 110<<10), "persistent", "true")
	if err == nil {
		err = r.Wait(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "send smaller messages") {
		t.Errorf("got %v", err)
	}
	g, err := gostomp.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := g.BeginWithError()
	for range 2 {
		if err == nil {
			err = tx.Send(queueA, "text/plain", make([]byte, 60<<10), gostomp.SendOpt.Header("persistent", "true"))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = tx.Commit(), g.Disconnect() // neither tells
	if got := waiting(t, addr, queueA); len(got) != 2 {
		t.Errorf("%d messages of 2: a transaction of 120 KiB was taken", len(got))
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

func TestAStateOfALaterProgramIsNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := seglog.Open(dir, seglog.Options{Version: 1000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Append([]byte("what it means nobody knows yet"))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := stompd.New(stompd.Config{State: dir}); exitcode.From(err) != exitcode.StoreVersion {
		t.Errorf("got %v", err)
	}
}
