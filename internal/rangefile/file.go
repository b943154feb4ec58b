package rangefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// File is an open remote file. It may be read from several goroutines.
type File struct {
	client *Client
	ctx    context.Context //nolint:containedctx // io.ReaderAt has none: that of Open
	// name is what may be shown; first the address that was asked for, at host; address where a redirect led.
	name, first, host string

	// Known from the first answer.
	size int64
	rtt  time.Duration

	requests, retries, bytes atomic.Int64

	mu      sync.Mutex
	address string
}

// Stats is what reading has taken.
type Stats struct {
	Requests, Retries int64
	// Bytes are those of the file that came over the network.
	Bytes int64
}

// Open asks for the size of a file. It, and what is read of it, ends with ctx. davs:// and dav:// are other names for
// https:// and http://.
func (c *Client) Open(ctx context.Context, address string) (*File, error) {
	u, err := Parse(address)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "davs":
		u.Scheme = "https"
	case "dav":
		u.Scheme = "http"
	}
	f := &File{client: c, ctx: ctx, name: Name(u), first: u.String(), host: u.Hostname(), address: u.String()}
	switch {
	case u.Scheme == "http" && !c.plain(u):
		return nil, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s is plain http, which this site does not allow", f.name),
			"use https, or allow the host by --input-http-hosts")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, exitcode.New(exitcode.DataInvalid, "%s: %s is not read by ranges", f.name, u.Scheme)
	}
	if err := f.persist(ctx, f.ask); err != nil {
		return nil, err
	}
	return f, nil
}

// ask takes the size from the header of the file.
func (f *File) ask(ctx context.Context) (bool, error) {
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { f.rtt = roundTrip(i.Conn) },
	})
	return false, f.request(traced, f.client.cfg.Silence, http.MethodHead, nil, f.header)
}

func (f *File) header(r *http.Response, _ func()) error {
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") && !strings.HasPrefix(path.Ext(f.name), ".htm") {
		return exitcode.New(exitcode.DataUnreachable, "reading %s: the server answers with a web page", f.name)
	}
	if r.ContentLength < 0 {
		return exitcode.New(exitcode.DataUnreachable, "reading %s: the server does not say how long it is", f.name)
	}
	f.size = r.ContentLength
	return nil
}

// Adler32 asks for the checksum of the file; empty when the server does not say. It may have to read all of the file for that, so
// it is given more time, once, and who reads a part does not ask.
func (f *File) Adler32(ctx context.Context) (sum string, err error) {
	err = f.request(ctx, f.client.cfg.Patience, http.MethodHead, map[string]string{"Want-Digest": "adler32"}, func(r *http.Response, _ func()) error {
		sum = Digest(r.Header)
		return nil
	})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		f.client.cfg.Logger.InfoContext(ctx, "a checksum could not be had", slog.String("file", f.name), logging.Err(err))
	}
	return sum, nil
}

// Adler32 is a checksum in eight small hexadecimal digits, however it was written; empty for what is none.
func Adler32(text string) string {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 32)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%08x", n)
}

// Name is the file's address as it may be shown.
func (f *File) Name() string { return f.name }

// Size is the file's length in bytes.
func (f *File) Size() int64 { return f.size }

// RTT is a round trip to the server, as the kernel has measured it; 0 when it does not say.
func (f *File) RTT() time.Duration { return f.rtt }

// Stats is what reading has taken so far.
func (f *File) Stats() Stats {
	return Stats{Requests: f.requests.Load(), Retries: f.retries.Load(), Bytes: f.bytes.Load()}
}

// ReadAt reads all of p, or up to the end of the file.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading %s: offset %d is negative", f.name, off)
	}
	want := min(int64(len(p)), f.size-off)
	if want <= 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n, err := f.copy(f.ctx, &into{p: p[:0]}, off, off+want)
	if err == nil && int(want) < len(p) {
		err = io.EOF
	}
	return int(n), err
}

// into writes to memory that is there.
type into struct{ p []byte }

func (w *into) Write(p []byte) (int, error) {
	w.p = append(w.p, p...)
	return len(p), nil
}

// CopyTo writes the whole file to w, from its beginning to its end. Errors of w are returned as they are.
func (f *File) CopyTo(ctx context.Context, w io.Writer) (int64, error) {
	return f.copy(ctx, w, 0, f.size)
}

// writeError is one of whom we write to: the file is not to blame.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func isWriteError(err error) bool {
	_, ok := errors.AsType[*writeError](err)
	return ok
}

// writer marks the errors of another.
type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// copy writes the bytes from..to (exclusive), and goes on where it broke off.
func (f *File) copy(ctx context.Context, w io.Writer, from, to int64) (int64, error) {
	at := from
	err := f.persist(ctx, func(ctx context.Context) (bool, error) {
		began := at
		if at == to {
			return false, nil
		}
		err := f.request(ctx, f.client.cfg.Silence, http.MethodGet, map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", at, to-1)}, func(r *http.Response, alive func()) error {
			if err := f.checkRange(r, at, to); err != nil {
				return err
			}
			n, err := io.Copy(writer{w}, &counted{r: r.Body, left: to - at, alive: alive})
			at += n
			f.bytes.Add(n)
			return err
		})
		return at > began, err
	})
	if e, ok := errors.AsType[*writeError](err); ok {
		err = e.err
	}
	return at - from, err
}

// checkRange takes an answer for what was asked for, or says what is wrong with it.
func (f *File) checkRange(r *http.Response, from, to int64) error {
	if r.StatusCode == http.StatusOK && from == 0 && to == f.size && r.ContentLength == f.size {
		return nil // all of it, from a server without ranges
	}
	if r.StatusCode != http.StatusPartialContent {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		return exitcode.New(exitcode.DataUnreachable, "reading %s: the server gives no part of it; it answers %d with %.40q", f.name, r.StatusCode, kind)
	}
	var first, last, size int64
	got := r.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != from || last != to-1 {
		return &passing{err: fmt.Errorf("the server answers with the range %.60q, not %d-%d", got, from, to-1)}
	}
	if size != f.size {
		return exitcode.New(exitcode.DataCorrupt, "reading %s: it has %d bytes now, and had %d", f.name, size, f.size)
	}
	return nil
}

// counted reads no more than what is due, and takes an early end for an error.
type counted struct {
	r     io.Reader
	left  int64
	alive func()
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if n > 0 {
		c.alive()
	}
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
