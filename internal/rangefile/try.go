package rangefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 3 * time.Second
	// waitMost bounds what a server may ask for with Retry-After.
	waitMost = 30 * time.Second
)

// passing is a fault that may pass by itself.
type passing struct {
	err   error
	after time.Duration // that the server asks for
}

func (e *passing) Error() string { return e.err.Error() }
func (e *passing) Unwrap() error { return e.err }

// errSilent says that nothing came for too long.
var errSilent = errors.New("nothing came")

// persist calls try until it succeeds, fails for good, or no byte has come for the patience. try says whether it got further.
func (f *File) persist(ctx context.Context, try func(ctx context.Context) (further bool, err error)) error {
	last := time.Now()
	var refused, rest bool
	for wait := backoffFirst; ; wait = min(2*wait, backoffMost) {
		further, err := try(ctx)
		if further {
			last, wait, refused, rest = time.Now(), backoffFirst, false, false
		}
		passes, ok := errors.AsType[*passing](err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isWriteError(err):
			return err
		case f.backToStart(): // a server that we were redirected to may be gone, or its token over
			if !rest {
				rest = true
				continue
			}
		case exitcode.From(err) == exitcode.NoCredential && !refused:
			refused = true // whoever renews the token may just have done so
			continue
		}
		if !ok {
			return err
		}
		if time.Since(last)+wait > f.client.cfg.Patience {
			return exitcode.New(exitcode.DataUnreachable, "reading %s, for %s: %w", f.name, time.Since(last).Round(time.Second/10), err)
		}
		f.retries.Add(1)
		f.client.cfg.Logger.InfoContext(ctx, "input is read again", slog.String("file", f.name), logging.Err(err))
		if err := pause.For(ctx, max(wait/2+rand.N(wait/2), min(passes.after, waitMost))); err != nil {
			return err
		}
	}
}

// request makes one request and hands the answer to use, which reads it. The context of the request ends when nothing comes for
// the silence; use tells alive of every byte.
func (f *File) request(ctx context.Context, silence time.Duration, method string, header map[string]string, use func(r *http.Response, alive func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%w for %s", errSilent, silence)) })
	defer watch.Stop()
	f.mu.Lock()
	address := f.address
	f.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return exitcode.New(exitcode.DataInvalid, "%s is no address that can be asked for", f.name)
	}
	for key, value := range header {
		req.Header.Set(key, value)
	}
	// Never over plain http, nor to where a redirect led: such an address has a token of its own.
	if req.URL.Scheme == "https" && req.URL.RawQuery == "" && req.URL.Hostname() == f.host {
		token, err := Token(f.client.cfg.TokenFile, "--input-token-file")
		if err != nil {
			return err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	f.requests.Add(1)
	resp, err := f.client.http.Do(req)
	if err != nil {
		return f.broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		return f.status(resp)
	}
	err = use(resp, func() { watch.Reset(silence) })
	if err != nil {
		return f.broken(ctx, err)
	}
	f.mu.Lock()
	f.address = resp.Request.URL.String()
	f.mu.Unlock()
	return nil
}

// backToStart undoes what a redirect led to; false when there was none.
func (f *File) backToStart() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.address == f.first {
		return false
	}
	f.address = f.first
	return true
}

// broken is what an error on the way means. Errors that have a place of their own keep it.
func (f *File) broken(ctx context.Context, err error) error {
	if isWriteError(err) {
		return err
	}
	if why := context.Cause(ctx); why != nil {
		if errors.Is(why, errSilent) {
			return &passing{err: why}
		}
		return why
	}
	if exitcode.From(err) != exitcode.Internal {
		return err
	}
	if _, ok := errors.AsType[*passing](err); ok {
		return err
	}
	if redirect, ok := errors.AsType[RedirectError](err); ok {
		return exitcode.WithNext(exitcode.New(exitcode.DataUnreachable, "reading %s: %w", f.name, redirect), "look at the server, or name another door to the file")
	}
	if Untrusted(err) {
		return exitcode.WithNext(exitcode.New(exitcode.DataUnreachable, "reading %s: %w", f.name, Bare(err)), NextUntrusted)
	}
	return &passing{err: Bare(err)}
}

// status is what a refusal means.
func (f *File) status(r *http.Response) error {
	const most = 40
	words := fmt.Sprintf("%d %.*s", r.StatusCode, most, http.StatusText(r.StatusCode))
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return f.refusal(words)
	case http.StatusNotFound, http.StatusGone:
		return exitcode.New(exitcode.DataMissing, "reading %s: the server answers %s", f.name, words)
	case http.StatusRequestedRangeNotSatisfiable:
		return exitcode.New(exitcode.DataCorrupt, "reading %s: it is shorter than its server said (%s)", f.name, words)
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
	default:
		if r.StatusCode < http.StatusInternalServerError || r.StatusCode == http.StatusNotImplemented {
			return exitcode.New(exitcode.DataUnreachable, "reading %s: the server answers %s", f.name, words)
		}
	}
	var after time.Duration
	if seconds, err := strconv.Atoi(strings.TrimSpace(r.Header.Get("Retry-After"))); err == nil && seconds > 0 {
		after = time.Duration(min(seconds, int(waitMost/time.Second))) * time.Second
	}
	return &passing{fmt.Errorf("the server answers %s", words), after}
}

// refusal says what was wrong with our token, as far as we know.
func (f *File) refusal(words string) error {
	file := f.client.cfg.TokenFile
	switch {
	case strings.HasPrefix(f.first, "http:"):
		return exitcode.New(exitcode.NoCredential, "reading %s: the server answers %s, and over plain http no token is sent", f.name, words)
	case file == "":
		return exitcode.WithNext(exitcode.New(exitcode.NoCredential, "reading %s: the server answers %s, and no token was given", f.name, words),
			"name a file with a token that may read it by --input-token-file or BEARER_TOKEN_FILE")
	default:
		return exitcode.WithNext(exitcode.New(exitcode.NoCredential, "reading %s with the token of %s: the server answers %s", f.name, file, words),
			"see whether the token is over, is for this server, and may read this folder")
	}
}
