package eicrecon

import (
	"context"
	"net"
)

// Ask is one question to the socket at path.
func Ask(ctx context.Context, path string, request []byte) ([]byte, error) {
	l, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.close() }()
	return l.ask(ctx, request)
}

// AskOver is one question over a connection that is there.
func AskOver(ctx context.Context, conn net.Conn, request []byte) ([]byte, error) {
	l := newLink(conn)
	if err := l.until(ctx, l.greet); err != nil {
		return nil, err
	}
	return l.ask(ctx, request)
}

// ErrProtocol is what Ask says of those who do not speak it.
var ErrProtocol = errProtocol

// NewSocket makes the folder of a socket; remove removes it.
func NewSocket(base string) (path string, remove func(), err error) {
	s, err := newSocket(base)
	return s.path, s.remove, err
}

// SweepSockets removes what killed pilots left.
func SweepSockets(base string) { sweepSockets(base) }
