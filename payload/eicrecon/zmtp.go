package eicrecon

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// What is spoken here is ZMTP 3.0 with the mechanism NULL (rfc.zeromq.org/spec/23), and of it the part of a REQ socket that asks
// one question. docs/adr/0001-dependencies.md says why it is no library.
const (
	signatureHead, signatureFoot = 0xff, 0x7f
	zmtpMajor                    = 3
	mechanism                    = "NULL"
	greetingBytes                = 64

	flagMore, flagLong, flagCommand = 1, 2, 4
	// maxReplyBytes bounds what a daemon may make us hold: a reply has some hundred bytes.
	maxReplyBytes = 1 << 20
	// maxFrames bounds commands and parts that lead nowhere.
	maxFrames = 64
)

// errProtocol says that what answers does not speak the protocol.
var errProtocol = errors.New("not the protocol of ZeroMQ")

// link is a connection to a REP socket. There is one for each question: what an earlier one would still answer, late or twice, has
// nowhere to go.
type link struct {
	conn net.Conn
	in   *bufio.Reader
}

// dial connects to the socket at path and greets it: when it returns, somebody is there who answers.
func dial(ctx context.Context, path string) (*link, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	l := newLink(conn)
	if err := l.until(ctx, l.greet); err != nil {
		_ = l.close()
		return nil, err
	}
	return l, nil
}

func newLink(conn net.Conn) *link { return &link{conn, bufio.NewReader(conn)} }

func (l *link) close() error { return l.conn.Close() }

// ask sends one request and waits for its reply.
func (l *link) ask(ctx context.Context, request []byte) (reply []byte, err error) {
	err = l.until(ctx, func() error {
		// The empty part is the envelope that a REP socket gives back.
		if err := l.send(frame(flagMore, nil), frame(0, request)); err != nil {
			return err
		}
		reply, err = l.receive()
		return err
	})
	return reply, err
}

// until does what waits for the other side, and gives up when the context ends.
func (l *link) until(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := do()
	if err != nil && ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// greet exchanges greetings, and the commands by which both sides say which kind of socket they are.
func (l *link) greet() error {
	ours := make([]byte, greetingBytes)
	ours[0], ours[9], ours[10] = signatureHead, signatureFoot, zmtpMajor
	copy(ours[12:], mechanism)
	if err := l.send(ours, frame(flagCommand, command("READY", "Socket-Type", "REQ", "Identity", ""))); err != nil {
		return err
	}
	theirs := make([]byte, greetingBytes)
	if _, err := io.ReadFull(l.in, theirs); err != nil {
		return err
	}
	if theirs[0] != signatureHead || theirs[9]&1 == 0 || theirs[10] < zmtpMajor {
		return fmt.Errorf("%w: the greeting begins with %x", errProtocol, theirs[:11])
	}
	if m := strings.TrimRight(string(theirs[12:32]), "\x00"); m != mechanism {
		return fmt.Errorf("%w: it wants the security mechanism %.20q", errProtocol, m)
	}
	flags, body, err := l.frame()
	if err != nil {
		return err
	}
	name, properties, err := parseCommand(body)
	switch kind := properties["socket-type"]; {
	case flags&flagCommand == 0 || err != nil || name != "READY":
		return fmt.Errorf("%w: no READY but %.80q", errProtocol, body)
	case kind != "REP" && kind != "ROUTER":
		return fmt.Errorf("%w: a socket of type %.20q answers no requests", errProtocol, kind)
	}
	return nil
}

// receive takes one message: an empty part, and the reply. Commands may come between.
func (l *link) receive() ([]byte, error) {
	var parts [][]byte
	for range maxFrames {
		flags, body, err := l.frame()
		switch {
		case err != nil:
			return nil, err
		case flags&flagCommand != 0:
			continue
		}
		parts = append(parts, body)
		if flags&flagMore != 0 {
			continue
		}
		if len(parts) != 2 || len(parts[0]) != 0 {
			return nil, fmt.Errorf("%w: a reply of %d parts", errProtocol, len(parts))
		}
		return parts[1], nil
	}
	return nil, fmt.Errorf("%w: more than %d parts", errProtocol, maxFrames)
}

// frame reads one frame.
func (l *link) frame() (flags byte, body []byte, err error) {
	if flags, err = l.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	if flags&^(flagMore|flagLong|flagCommand) != 0 {
		return 0, nil, fmt.Errorf("%w: a frame with flags %02x", errProtocol, flags)
	}
	size := make([]byte, 8)
	if flags&flagLong != 0 {
		_, err = io.ReadFull(l.in, size)
	} else {
		size[7], err = l.in.ReadByte()
	}
	if err != nil {
		return 0, nil, cut(err)
	}
	n := binary.BigEndian.Uint64(size)
	if n > maxReplyBytes {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", errProtocol, n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(l.in, body)
	return flags, body, cut(err)
}

// cut makes an end within a frame what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (l *link) send(frames ...[]byte) error {
	buffers := net.Buffers(frames)
	_, err := buffers.WriteTo(l.conn)
	return err
}

// frame is what goes over the line.
func frame(flags byte, body []byte) []byte {
	if len(body) > 255 {
		head := binary.BigEndian.AppendUint64([]byte{flags | flagLong}, uint64(len(body)))
		return append(head, body...)
	}
	return append([]byte{flags, byte(len(body))}, body...)
}

// command is the body of a command with its properties, name and value in turn.
func command(name string, properties ...string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	for i := 0; i < len(properties); i += 2 {
		b = append(append(b, byte(len(properties[i]))), properties[i]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(properties[i+1])))
		b = append(b, properties[i+1]...)
	}
	return b
}

// parseCommand reads one. Names of properties are the same in any case.
func parseCommand(b []byte) (name string, properties map[string]string, err error) {
	take := func(n uint64) string {
		if err != nil || n > uint64(len(b)) {
			err = fmt.Errorf("%w: a command that is cut short", errProtocol)
			return ""
		}
		part := string(b[:n])
		b = b[n:]
		return part
	}
	short := func() string {
		if n := take(1); n != "" {
			return take(uint64(n[0]))
		}
		return ""
	}
	name, properties = short(), map[string]string{}
	for len(b) > 0 && err == nil {
		key := short()
		if size := take(4); size != "" {
			properties[strings.ToLower(key)] = take(uint64(binary.BigEndian.Uint32([]byte(size))))
		}
	}
	return name, properties, err
}
