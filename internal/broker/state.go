package broker

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stomp"
)

// State is how the link stands.
type State struct {
	Connected bool
	// Since is when this state began. Without a connection that is the end of the last good one: a broker that lets us in and
	// closes at once, again and again, is none.
	Since time.Time
	// Generation counts connections; 0 before the first.
	Generation uint64
	// Addr is the broker of the present connection, Server what it says that it is.
	Addr, Server string
	// Err is why there is none: nil before the first attempt, ErrClosed when Run has ended. exitcode.From tells a broker that
	// refused from one that was not there.
	Err error
	// Heard is when a broker last said anything; zero before the first.
	Heard time.Time
}

// RedeliversForEver reports whether the broker never gives a message up: ActiveMQ Classic, and the embedded one in that mode.
func (s State) RedeliversForEver() bool {
	return strings.HasPrefix(s.Server, "ActiveMQ/") || s.Server == "tfpilot/classic"
}

// session is one connection with its number.
type session struct {
	*stomp.Conn
	generation uint64
	addr       string
	since      time.Time
	answered   atomic.Bool // the broker has confirmed a subscription or a message
}

// good says that the connection was of use: who only accepts and closes is no broker.
func (s *session) good() bool { return s.answered.Load() || time.Since(s.since) >= settled }

// State is how the link stands now.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	if l.session != nil {
		s.Heard = l.session.LastHeard()
	}
	return s
}

// Changed is closed at the next change of the state: ask for it before State, then wait.
func (l *Link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *Link) up(conn *stomp.Conn, addr string) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := &session{Conn: conn, generation: l.state.Generation + 1, addr: addr, since: now}
	l.session = s
	l.state = State{Connected: true, Since: now, Generation: s.generation, Addr: addr, Server: conn.Server(), Heard: now}
	l.announce()
	return s
}

func (l *Link) down(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		l.state.Heard = l.session.LastHeard()
		if l.session.good() {
			l.outage = time.Now()
		}
		l.state.Since = l.outage
	}
	l.session = nil
	l.state.Connected, l.state.Addr, l.state.Server, l.state.Err = false, "", "", err
	l.announce()
}

// trying notes what is under way until somebody knows better.
func (l *Link) trying(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Err == nil {
		l.state.Err = exitcode.New(exitcode.NoBroker, "connecting to %s: no answer yet", addr)
	}
}

func (l *Link) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await returns the present session, or the next one after old, as soon as there is one.
func (l *Link) await(ctx context.Context, old *session) (*session, error) {
	for {
		l.mu.Lock()
		s, changed := l.session, l.changed
		l.mu.Unlock()
		if s != nil && s != old {
			return s, nil
		}
		select {
		case <-changed:
		case <-l.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
