package stompd

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

const (
	// connectLimit is how long a new connection may stay mute.
	connectLimit = 10 * time.Second
	// silentLimit ends a client that promised no heart-beats and says nothing, as Artemis does.
	silentLimit = 60 * time.Second
	// minBeat is the shortest interval that the broker agrees to.
	minBeat = 500 * time.Millisecond
	// goodbye bounds the writing of last frames to a client that may be gone.
	goodbye = 2 * time.Second
)

// conn is one client.
type conn struct {
	b       *Broker
	nc      net.Conn
	version string
	client  string // client-id; names durable subscriptions
	out     *outbox
	subs    []*subscription // guarded by the broker's lock
	open    map[string]*transaction
	// givenBack are the messages that the last UNSUBSCRIBE gave back.
	givenBack []string
	once      sync.Once
}

// close ends the connection; its reader then gives everything back.
func (c *conn) close() { c.once.Do(func() { c.nc.Close() }) }

// handle serves one client until it leaves.
func (b *Broker) handle(nc net.Conn) {
	c := &conn{b: b, nc: nc, out: newOutbox(), open: map[string]*transaction{}}
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		nc.Close()
		return
	}
	b.conns[c] = struct{}{}
	b.mu.Unlock()

	r := stompframe.NewReader(nc, b.cfg.Limits)
	w := stompframe.NewWriter(nc)
	every, patience, err := c.connect(r, w)
	if err == nil {
		var wg sync.WaitGroup
		wg.Go(func() { c.write(w, every) })
		err = c.read(r, patience)
		if refused, ok := errors.AsType[*refusal](err); ok {
			c.out.put(errorFrame(refused.text, ""))
		}
		c.out.close()
		wg.Wait()
	} else if refused, ok := errors.AsType[*refusal](err); ok {
		_ = nc.SetWriteDeadline(time.Now().Add(goodbye))
		_ = w.Write(errorFrame(refused.text, ""))
		_ = w.Flush()
	}
	c.close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	for _, s := range c.subs {
		s.queue.remove(s) // all of them first: what one gives back must not go to another of the same connection
	}
	for _, s := range c.subs {
		b.giveBack(s, true)
		b.release(s.queue)
	}
	c.subs = nil
	if err != nil && !b.closing {
		b.log.Debug("connection ended", slog.Any("err", err))
	}
}

// connect does the CONNECT. every is how often we beat, patience how long the client may be silent.
func (c *conn) connect(r *stompframe.Reader, w *stompframe.Writer) (every, patience time.Duration, err error) {
	_ = c.nc.SetDeadline(time.Now().Add(connectLimit))
	f, err := r.Read()
	for err == nil && f == nil {
		f, err = r.Read()
	}
	if err != nil {
		return 0, 0, refuse("%v", err)
	}
	if f.Command != frame.CONNECT && f.Command != frame.STOMP {
		return 0, 0, refuse("not connected: %s before CONNECT", f.Command)
	}
	for _, v := range []string{"1.2", "1.1"} {
		if strings.Contains(","+f.Header.Get(frame.AcceptVersion)+",", ","+v+",") {
			c.version = v
			break
		}
	}
	if c.version == "" {
		return 0, 0, refuse("supported versions are 1.1 and 1.2")
	}
	if users := c.b.cfg.Users; len(users) > 0 {
		want, known := users[f.Header.Get(frame.Login)]
		if subtle.ConstantTimeCompare([]byte(want), []byte(f.Header.Get(frame.Passcode))) != 1 || !known {
			return 0, 0, refuse("security error: unknown login or wrong passcode")
		}
	}
	if err := c.claim(f.Header.Get("client-id")); err != nil {
		return 0, 0, err
	}
	theySend, theyWant := time.Duration(0), time.Duration(0)
	if text, ok := f.Header.Contains(frame.HeartBeat); ok {
		if theySend, theyWant, err = frame.ParseHeartBeat(text); err != nil {
			return 0, 0, refuse("heart-beat %.40q: %v", text, err)
		}
	}
	ours := max(c.b.cfg.HeartBeat, minBeat)
	patience = silentLimit
	if c.b.how.patient {
		patience = 0
	}
	if theySend > 0 {
		patience = 2 * max(theySend, minBeat, ours)
	}
	if theyWant > 0 {
		every = max(theyWant, ours)
	}
	ms := strconv.FormatInt(ours.Milliseconds(), 10)
	answer := frame.New(frame.CONNECTED, frame.Version, c.version, frame.HeartBeat, ms+","+ms,
		frame.Session, fmt.Sprintf("%p", c), frame.Server, "tfpilot")
	if err := w.Write(answer); err != nil {
		return 0, 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, 0, err
	}
	_ = c.nc.SetDeadline(time.Time{})
	return every, patience, nil
}

// claim takes a client-id, which may be another's already.
func (c *conn) claim(id string) error {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for other := range c.b.conns {
		if id != "" && c.b.how.ownClientID && other.client == id {
			return refuse("client-id %.40q is in use", id)
		}
	}
	c.client = id
	return nil
}

// write is the only writer after CONNECTED: it gathers what waits and beats when there is nothing.
func (c *conn) write(w *stompframe.Writer, every time.Duration) {
	var next <-chan time.Time
	if every > 0 {
		t := time.NewTicker(every * 4 / 5)
		defer t.Stop()
		next = t.C
	}
	beat := next
	if every > 0 && c.b.how.lateFirstBeat {
		beat = time.After(2 * every)
	}
	var spare []*frame.Frame
	for {
		var frames []*frame.Frame
		var wasFull, closed bool
		select {
		case <-c.out.wake:
			frames, wasFull, closed = c.out.take(spare)
			if closed {
				_ = c.nc.SetWriteDeadline(time.Now().Add(goodbye))
			}
		case <-beat:
			beat, frames = next, []*frame.Frame{nil}
		}
		for i, f := range frames {
			if err := w.Write(f); err != nil {
				c.close()
				return
			}
			frames[i] = nil
		}
		if err := w.Flush(); err != nil || closed {
			c.close()
			return
		}
		spare = frames
		if wasFull {
			c.b.mu.Lock()
			for _, s := range c.subs {
				s.queue.serve(s)
			}
			c.b.mu.Unlock()
		}
	}
}

// read handles frames until the client leaves, falls silent, or is refused.
func (c *conn) read(r *stompframe.Reader, patience time.Duration) error {
	for {
		if patience > 0 {
			_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		}
		f, err := r.Read()
		switch {
		case errors.Is(err, stompframe.ErrTooLarge), errors.Is(err, frame.ErrInvalidCommand), errors.Is(err, frame.ErrInvalidFrameFormat):
			return refuse("%v", err)
		case err != nil:
			if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
				return refuse("nothing heard for %s", patience)
			}
			return err
		case f == nil:
			continue
		}
		id, wantsReceipt := f.Header.Contains(frame.Receipt)
		bye, err := c.command(f)
		if err != nil {
			c.out.put(errorFrame(err.Error(), id))
			if c.b.how.endures {
				continue
			}
			return fmt.Errorf("%s refused: %s", f.Command, err.Error()) // no refusal any more: it is said
		}
		if wantsReceipt {
			c.out.put(frame.New(frame.RECEIPT, frame.ReceiptId, id))
		}
		if bye {
			return nil
		}
	}
}

func (c *conn) command(f *frame.Frame) (bye bool, err error) {
	switch f.Command {
	case frame.SEND:
		return false, c.send(f)
	case frame.SUBSCRIBE:
		return false, c.subscribe(f)
	case frame.UNSUBSCRIBE:
		return false, c.unsubscribe(f)
	case frame.ACK, frame.NACK:
		return false, c.settle(f)
	case frame.BEGIN, frame.COMMIT, frame.ABORT:
		return false, c.transact(f)
	case frame.DISCONNECT:
		return true, c.claim("") // whoever hears the RECEIPT may have the client-id
	default:
		return false, refuse("%s is not supported", f.Command)
	}
}

func errorFrame(text, receipt string) *frame.Frame {
	f := frame.New(frame.ERROR, frame.Message, text)
	if receipt != "" {
		f.Header.Add(frame.ReceiptId, receipt)
	}
	f.Body = []byte(text)
	return f
}
