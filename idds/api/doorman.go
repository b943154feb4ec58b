package api

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// Doorman bounds the connections of a server. When the house is full, whoever has been silent for longest goes: ten thousand
// connections that send nothing keep nobody out.
type Doorman struct {
	most int

	mu     sync.Mutex
	all    map[net.Conn]*list.Element // nil of one whose request is under way
	silent *list.List                 // the others, the longest silent first
}

// NewDoorman lets so many in at once.
func NewDoorman(most int) *Doorman {
	return &Doorman{most: most, all: map[net.Conn]*list.Element{}, silent: list.New()}
}

// Watch is for [http.Server.ConnState].
func (d *Doorman) Watch(conn net.Conn, state http.ConnState) {
	if goes := d.note(conn, state); goes != nil {
		_ = goes.Close() // he is not waited for
	}
}

// note notes what a connection does now, and says which has to go.
func (d *Doorman) note(conn net.Conn, state http.ConnState) (goes net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := d.all[conn]; at != nil {
		d.silent.Remove(at)
	}
	switch state {
	case http.StateNew, http.StateIdle:
		d.all[conn] = d.silent.PushBack(conn)
	case http.StateActive:
		d.all[conn] = nil
	case http.StateClosed, http.StateHijacked:
		delete(d.all, conn)
	}
	if len(d.all) <= d.most {
		return nil
	}
	first := d.silent.Front()
	if first == nil { // all are at work: the one that came last waits no longer than it takes to come again
		return conn
	}
	d.silent.Remove(first)
	goes, _ = first.Value.(net.Conn)
	delete(d.all, goes) // its StateClosed comes later, and finds nothing
	return goes
}
