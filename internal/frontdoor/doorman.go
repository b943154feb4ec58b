package frontdoor

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
)

// Doorman bounds the connections of a server. When the house is full, whoever has kept it waiting for longest goes: ten thousand
// connections that send nothing, or a letter now and then, keep nobody out. It waits for a client that is silent, that has begun a
// request and not ended its header, and that has not sent its body yet; while a request is worked on, and until its answer is written,
// its connection stays.
type Doorman struct {
	most int

	mu      sync.Mutex
	all     map[net.Conn]*guest
	waiting *list.List // for guests, the longest first
}

// guest is a connection.
type guest struct {
	conn net.Conn
	at   *list.Element // among those that are waited for; nil while it is worked for
	work int           // requests that are worked on
}

// NewDoorman lets so many in at once.
func NewDoorman(most int) *Doorman {
	return &Doorman{most: most, all: map[net.Conn]*guest{}, waiting: list.New()}
}

// Guard puts the doorman at the door of a server.
func (d *Doorman) Guard(srv *http.Server) {
	srv.ConnState = d.watch
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	next := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		d.work(conn, 1)
		defer d.done(conn) // what waits in a buffer is not written yet: the server tells of that by the next state
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &slowBody{r.Body, func(n int) { d.work(conn, n) }}
		}
		next.ServeHTTP(w, r)
	})
}

type connKey struct{}

// slowBody is a body of which each part is waited for.
type slowBody struct {
	io.ReadCloser

	work func(n int)
}

// Read waits for the client.
func (b *slowBody) Read(p []byte) (int, error) {
	b.work(-1)
	defer b.work(1)
	return b.ReadCloser.Read(p)
}

// watch is for [http.Server.ConnState].
func (d *Doorman) watch(conn net.Conn, state http.ConnState) {
	if goes := d.note(conn, state); goes != nil {
		hangUp(goes)
	}
}

// hangUp ends a connection without a word: the farewell of TLS would wait for whoever does not listen.
func hangUp(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}

// note notes what a connection does now, and says which has to go.
func (d *Doorman) note(conn net.Conn, state http.ConnState) (goes net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.all[conn]
	switch {
	case state == http.StateNew:
		g = &guest{conn: conn}
		d.all[conn] = g
	case g == nil: // it was sent away
		return nil
	case state == http.StateClosed, state == http.StateHijacked:
		d.settle(g, false)
		delete(d.all, conn)
		return nil
	}
	d.settle(g, g.work == 0)
	if len(d.all) <= d.most {
		return nil
	}
	if first := d.waiting.Front(); first != nil {
		g, _ = first.Value.(*guest)
	} // or all are worked for: the one that came last waits no longer than it takes to come again
	d.settle(g, false)
	delete(d.all, g.conn) // its StateClosed comes later, and finds nothing
	return g.conn
}

// done notes that a request of a connection was worked on.
func (d *Doorman) done(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.all[conn]; g != nil {
		g.work--
	}
}

// work notes that a request of a connection is begun to be worked on, or waits for the client, or no longer.
func (d *Doorman) work(conn net.Conn, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.all[conn]; g != nil {
		g.work += n
		d.settle(g, g.work == 0)
	}
}

// settle puts a guest behind all others that are waited for, or takes it out of these.
func (d *Doorman) settle(g *guest, waited bool) {
	if g.at != nil {
		d.waiting.Remove(g.at)
		g.at = nil
	}
	if waited {
		g.at = d.waiting.PushBack(g)
	}
}
