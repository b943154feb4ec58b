package stompframe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"
)

// Limits bound a frame; a zero field has its default.
type Limits struct {
	// HeaderBytes bounds command and headers together (default 128 KiB: Artemis accepts 100 KB headers).
	HeaderBytes int
	// BodyBytes bounds the body (default 32 MiB).
	BodyBytes int
}

// ErrTooLarge marks a frame over its limit. The connection cannot go on: where the frame ends is not known.
var ErrTooLarge = errors.New("frame larger than allowed")

// Reader reads frames from a connection.
type Reader struct{ frames *frame.Reader }

// NewReader makes a Reader with limits.
func NewReader(r io.Reader, limits Limits) *Reader {
	if limits.HeaderBytes == 0 {
		limits.HeaderBytes = 128 << 10
	}
	if limits.BodyBytes == 0 {
		limits.BodyBytes = 32 << 20
	}
	return &Reader{frame.NewReaderSize(&guard{next: r, limits: limits}, 32<<10)}
}

// Read returns the next frame, or nil for a heart-beat.
func (r *Reader) Read() (*frame.Frame, error) { return r.frames.Read() }

// guard watches the bytes of frames go by and stops the stream before the frame reader behind it allocates too much.
type guard struct {
	next   io.Reader
	limits Limits

	line   []byte // the header line so far, cut at lineKept
	header int    // bytes of the headers so far; 0 between frames
	body   int    // bytes of the body still to come, or so far when unsized
	phase  phase
	length int // content-length, -1 when absent
	err    error
}

type phase int

const (
	between phase = iota // heart-beats and line ends
	headers
	sizedBody
	freeBody // until NUL
)

// lineKept is enough of a line to recognise content-length.
const lineKept = 64

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.next.Read(p)
	if g.err = g.scan(p[:n]); g.err != nil {
		return 0, g.err
	}
	return n, err
}

func (g *guard) scan(p []byte) error {
	for len(p) > 0 {
		switch g.phase {
		case between:
			if p[0] == '\n' || p[0] == '\r' {
				p = p[1:]
				continue
			}
			g.phase, g.header, g.length, g.line = headers, 0, -1, g.line[:0]
		case headers:
			i := bytes.IndexByte(p, '\n')
			part := p
			if i >= 0 {
				part = p[:i]
			}
			g.line = append(g.line, part[:min(len(part), lineKept-min(len(g.line), lineKept))]...)
			if g.header += len(part) + 1; g.header > g.limits.HeaderBytes {
				return fmt.Errorf("%w: headers over %d bytes", ErrTooLarge, g.limits.HeaderBytes)
			}
			if i < 0 {
				return nil
			}
			p = p[i+1:]
			if err := g.endLine(); err != nil {
				return err
			}
		case sizedBody:
			n := min(len(p), g.body)
			p, g.body = p[n:], g.body-n
			if g.body == 0 {
				g.phase = between
			}
		case freeBody:
			i := bytes.IndexByte(p, 0)
			n := len(p)
			if i >= 0 {
				n = i + 1
				g.phase = between
			}
			if g.body += n; g.body > g.limits.BodyBytes+1 {
				return fmt.Errorf("%w: body over %d bytes", ErrTooLarge, g.limits.BodyBytes)
			}
			p = p[n:]
		}
	}
	return nil
}

// endLine looks at a whole header line: content-length, or the empty line that ends the headers.
func (g *guard) endLine() error {
	line := bytes.TrimSuffix(g.line, []byte{'\r'})
	if len(line) == 0 {
		g.phase, g.body = freeBody, 0
		if g.length >= 0 {
			g.phase, g.body = sizedBody, g.length+1 // and its NUL
		}
		return nil
	}
	if text, ok := bytes.CutPrefix(line, []byte("content-length:")); ok && g.length < 0 {
		n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		if err != nil || n < 0 {
			return fmt.Errorf("content-length %.20q is no size", text)
		}
		if n > g.limits.BodyBytes {
			return fmt.Errorf("%w: body of %d bytes, limit %d", ErrTooLarge, n, g.limits.BodyBytes)
		}
		g.length = n
	}
	g.line = g.line[:0]
	return nil
}
