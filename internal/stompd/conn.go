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
	number  uint64
	version string
	client  string // client-id; names durable subscriptions; guarded by the broker's lock
	called  string // client-id at CONNECT
	out     *outbox
	after   uint64          // the last record that this client's doing is in; its reader's alone
	subs    []*subscription // guarded by the broker's lock
	open    map[string]*transaction
	// givenBack are the messages that the last UNSUBSCRIBE gave back.
	givenBack []string
	touched   []*outbox // to be woken; the reader's alone
	patience  time.Duration
	once      sync.Once
	done      chan struct{}  // closed by close
	late      sync.WaitGroup // frames that a fault holds
}

// close ends the connection; its reader then gives everything back.
func (c *conn) close() {
	c.once.Do(func() {
		close(c.done)
		c.nc.Close()
	})
}

// serve is one client until it leaves.
func (b *Broker) serve(nc net.Conn) {
	c := &conn{b: b, nc: nc, out: newOutbox(), open: map[string]*transaction{}, done: make(chan struct{})}
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		nc.Close()
		return
	}
	b.conns[c] = struct{}{}
	b.accepted++
	c.number = b.accepted
	b.mu.Unlock()

	r := stompframe.NewReader(hearing{c}, b.cfg.Limits)
	w := stompframe.NewWriter(nc)
	every, patience, err := c.connect(r, w)
	if err == nil {
		c.patience = patience
		var wg sync.WaitGroup
		wg.Go(func() { newWriter(c, w).run(every) })
		err = c.read(r)
		c.wake()
		if refused, ok := errors.AsType[*refusal](err); ok {
			c.out.add(outgoing{frame: errorFrame(refused.text, "")})
		}
		_ = nc.SetWriteDeadline(time.Now().Add(goodbye)) // for a write under way too
		c.out.close()
		wg.Wait()
	} else if refused, ok := errors.AsType[*refusal](err); ok {
		_ = nc.SetWriteDeadline(time.Now().Add(goodbye))
		_ = c.emit(w, outgoing{frame: errorFrame(refused.text, "")})
		_ = w.Flush()
	}
	c.close()
	c.late.Wait()
	c.detach()
	c.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	if err != nil && !b.closing {
		b.log.Debug("connection ended", slog.Any("err", err))
	}
}

// serve delivers what the client has room for again.
func (c *conn) serve() {
	c.b.mu.Lock()
	defer c.b.unlock()
	for _, s := range c.subs {
		s.Serve()
	}
}

// unlock ends what one command of this client does. Who has something to write because of it is woken when the client has said all.
func (c *conn) unlock() {
	b := c.b
	c.after = max(c.after, b.addresses.Commit())
	for _, o := range b.touched {
		c.touch(o)
	}
	b.touched = b.touched[:0]
	b.mu.Unlock()
}

// touch notes that an outbox has something to be written.
func (c *conn) touch(o *outbox) {
	if n := len(c.touched); n == 0 || c.touched[n-1] != o {
		c.touched = append(c.touched, o)
	}
}

// wake lets be written what this client's commands have brought. It is called before anything that may wait: until then what they
// bring is gathered, and goes out in one piece for each receiver.
func (c *conn) wake() {
	for i, o := range c.touched {
		o.signal()
		c.touched[i] = nil
	}
	c.touched = c.touched[:0]
}

// hearing is a client's connection for its reader.
type hearing struct{ c *conn }

func (h hearing) Read(p []byte) (int, error) {
	h.c.wake()
	// The client may be silent for its patience, if there is one; heart-beats are not silence.
	if h.c.patience > 0 {
		_ = h.c.nc.SetReadDeadline(time.Now().Add(h.c.patience))
	}
	return h.c.nc.Read(p)
}

// detach gives everything back that the client holds, and its client-id.
func (c *conn) detach() {
	b := c.b
	b.mu.Lock()
	defer c.unlock()
	c.client = ""
	b.giveBack(!b.closing, c.subs)
	c.subs = nil
}

// connect does the CONNECT. every is how often we beat, patience how long the client may be silent.
func (c *conn) connect(r *stompframe.Reader, w *stompframe.Writer) (every, patience time.Duration, err error) {
	_ = c.nc.SetDeadline(time.Now().Add(connectLimit))
	f, fault, err := c.next(r)
	switch {
	case err != nil:
		return 0, 0, refuse("%v", err)
	case fault.CutBefore:
		return 0, 0, errCut
	case fault.Refuse != "":
		return 0, 0, refuse("%s", fault.Refuse)
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
	c.called = f.Header.Get("client-id")
	if err := c.claim(c.called); err != nil {
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
		frame.Session, fmt.Sprintf("%p", c), frame.Server, "tfpilot/"+string(c.b.cfg.Mode))
	if fault.CutAfter {
		return 0, 0, errCut
	}
	if err := c.emit(w, outgoing{frame: answer}); err != nil {
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
