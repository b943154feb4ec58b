package stompframe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-stomp/stomp/v3/frame"
)

// Limits bound a frame; a zero field has its default.
type Limits struct {
	// HeaderBytes bounds command and headers together (default 128 KiB: Artemis accepts 100 KB headers).
	HeaderBytes int
	// BodyBytes bounds the body (default 32 MiB).
	BodyBytes int
}

var (
	// ErrTooLarge marks a frame over its limit. The connection cannot go on: where the frame ends is not known.
	ErrTooLarge = errors.New("frame larger than allowed")

	errMute = errors.New("the connection brings nothing and no error")
)

// bufferBytes is what is read from a connection at once: some dozens of slices.
const bufferBytes = 32 << 10

// Reader reads frames from a connection. A frame takes five allocations, however many headers it has: these are cut out of one text.
type Reader struct {
	next   io.Reader
	limits Limits

	buf      []byte
	from, to int      // what of buf is not handed out yet
	pairs    []string // of the frame at hand
}

// NewReader makes a Reader with limits.
func NewReader(r io.Reader, limits Limits) *Reader {
	if limits.HeaderBytes == 0 {
		limits.HeaderBytes = 128 << 10
	}
	if limits.BodyBytes == 0 {
		limits.BodyBytes = 32 << 20
	}
	return &Reader{next: r, limits: limits, buf: make([]byte, bufferBytes)}
}

// Read returns the next frame, or nil for a heart-beat.
func (r *Reader) Read() (*frame.Frame, error) {
	name, lines, err := r.head()
	if err != nil || name == "" {
		return nil, err
	}
	f := &frame.Frame{Command: name}
	if f.Header, err = r.header(string(lines)); err != nil {
		return nil, err
	}
	length, sized := f.Header.Contains(frame.ContentLength)
	if !sized {
		f.Body, err = r.freeBody()
		return f, err
	}
	n, err := strconv.ParseUint(length, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: content-length %.20q is no size", frame.ErrInvalidFrameFormat, length)
	case n > uint64(r.limits.BodyBytes):
		return nil, fmt.Errorf("%w: body of %d bytes, limit %d", ErrTooLarge, n, r.limits.BodyBytes)
	}
	f.Body, err = r.sizedBody(int(n))
	return f, err
}

// head is what comes before a body: the command, empty for a heart-beat, and the lines of the headers, which are the reader's own until
// it reads on. Who speaks something else, TLS say, hears so at the first line, because nothing may follow it.
func (r *Reader) head() (name string, lines []byte, err error) {
	first, line, seen := 0, 0, 0 // from r.from on: the first header, the line at hand, and how far that was looked at
	for {
		if max(line, seen) > r.limits.HeaderBytes {
			return "", nil, fmt.Errorf("%w: headers over %d bytes", ErrTooLarge, r.limits.HeaderBytes)
		}
		at := bytes.IndexByte(r.buf[r.from+seen:r.to], '\n')
		if at < 0 {
			seen = r.to - r.from
			if err := r.fill(); err != nil {
				return "", nil, err
			}
			continue
		}
		begin, end := r.from+line, r.from+seen+at
		line = end + 1 - r.from
		seen = line
		switch text := bytes.TrimSuffix(r.buf[begin:end], []byte{'\r'}); {
		case len(text) == 0:
			lines = r.buf[r.from+first : begin]
			r.from = end + 1
			return name, lines, nil
		case first == 0:
			if name, first = command(text), line; name == "" {
				return "", nil, frame.ErrInvalidCommand
			}
		}
	}
}

// header cuts lines into keys and values.
func (r *Reader) header(lines string) (*frame.Header, error) {
	r.pairs = r.pairs[:0]
	for lines != "" {
		var line string
		line, lines, _ = strings.Cut(lines, "\n")
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || key == "" {
			return nil, frame.ErrInvalidFrameFormat
		}
		r.pairs = append(r.pairs, unescape(key), unescape(value))
	}
	h := frame.NewHeader(r.pairs...)
	clear(r.pairs)
	return h, nil
}

// believedBytes is how much memory a content-length alone is given; the rest as the body comes.
const believedBytes = 1 << 20

// sizedBody reads so many bytes and a NUL.
func (r *Reader) sizedBody(n int) ([]byte, error) {
	body := make([]byte, min(n, believedBytes))
	have := copy(body, r.buf[r.from:r.to])
	r.from += have
	for {
		_, err := io.ReadFull(r.next, body[have:])
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, io.EOF // as anywhere else in a frame
		case err != nil:
			return nil, err
		}
		if have = len(body); have == n {
			break
		}
		more := min(n, 2*have)
		body = slices.Grow(body, more-have)[:more]
	}
	for r.from == r.to {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	r.from++
	if r.buf[r.from-1] != 0 {
		return nil, frame.ErrInvalidFrameFormat
	}
	return body, nil
}

// freeBody reads up to a NUL.
func (r *Reader) freeBody() (body []byte, err error) {
	for {
		have := r.buf[r.from:r.to]
		at := bytes.IndexByte(have, 0)
		if at >= 0 {
			have = have[:at]
		}
		if len(body)+len(have) > r.limits.BodyBytes {
			return nil, fmt.Errorf("%w: body over %d bytes", ErrTooLarge, r.limits.BodyBytes)
		}
		body = append(body, have...)
		if r.from += len(have); at >= 0 {
			r.from++
			return body, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind what is there, and makes room for it.
func (r *Reader) fill() error {
	if r.from > 0 {
		r.to, r.from = copy(r.buf, r.buf[r.from:r.to]), 0
	}
	if r.to == len(r.buf) {
		r.buf = slices.Grow(r.buf, len(r.buf))[:2*len(r.buf)]
	}
	for range 100 {
		n, err := r.next.Read(r.buf[r.to:])
		r.to += n
		if n > 0 {
			return nil // an error with it comes again
		}
		if err != nil {
			return err
		}
	}
	return errMute
}

// command is the name of a command; empty when it is none.
func command(line []byte) string {
	for _, known := range []string{
		frame.SEND, frame.ACK, frame.MESSAGE, frame.RECEIPT, frame.SUBSCRIBE, frame.UNSUBSCRIBE, frame.CONNECT, frame.CONNECTED, frame.STOMP,
		frame.NACK, frame.BEGIN, frame.COMMIT, frame.ABORT, frame.DISCONNECT, frame.ERROR,
	} {
		if string(line) == known {
			return known
		}
	}
	return ""
}

var escapes = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\c`, ":", `\\`, `\`)

// unescape leaves alone what is no escape, and makes no text anew that has none.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return escapes.Replace(s)
}
