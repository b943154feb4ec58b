package stageout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/stagein"
)

// webdav is a store on a server of https://, as XRootD is one: PUT, MOVE, DELETE, and the checksum in an answer to HEAD.
type webdav struct {
	at     Place
	client *Client
}

var _ Store = (*webdav)(nil)

// maxWords of a refusal are read, in bytes.
const maxWords = 1 << 10

// Find asks for the checksum, which not every server knows.
func (w *webdav) Find(ctx context.Context, name string) (sizeBytes int64, adler32 string, err error) {
	header := map[string]string{"Want-Digest": "adler32"}
	a, err := w.request(ctx, http.MethodHead, name, header, File{})
	if errors.Is(err, errNotAllowed) { // it knows none
		a, err = w.request(ctx, http.MethodHead, name, nil, File{})
	}
	if err != nil {
		return 0, "", err
	}
	return a.sizeBytes, rangefile.Digest(a.header), nil
}

// Write asks for the file afterwards: a server that says that it is there may have found no room for its end.
func (w *webdav) Write(ctx context.Context, name string, f File) error {
	// A server writes over what is there without a word.
	if _, err := w.request(ctx, http.MethodHead, name, nil, File{}); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := w.request(ctx, http.MethodPut, name, nil, f); err != nil {
		return err
	}
	size, sum, err := w.Find(ctx, name)
	if err != nil {
		return err
	}
	return arrived(f, size, sum)
}

// Rename looks first, as that of [xrootd] does, and for the same reason.
func (w *webdav) Rename(ctx context.Context, from, to string, replace bool) error {
	overwrite := "T"
	if !replace {
		overwrite = "F"
		if _, err := w.request(ctx, http.MethodHead, to, nil, File{}); err == nil {
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_, err := w.request(ctx, "MOVE", from, map[string]string{"Destination": w.at.Join(to).String(), "Overwrite": overwrite}, File{})
	return err
}

// Remove removes a file.
func (w *webdav) Remove(ctx context.Context, name string) error {
	if _, err := w.request(ctx, http.MethodDelete, name, nil, File{}); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// request makes a request, with the file as its body if there is one. When the token is refused and its file holds another one by
// then, it asks once more.
func (w *webdav) request(ctx context.Context, method, name string, header map[string]string, f File) (answer, error) {
	token, err := w.token()
	if err != nil {
		return answer{}, err
	}
	a, err := w.once(ctx, method, name, header, f, token)
	if exitcode.From(err) == exitcode.NoCredential {
		if renewed, terr := w.token(); terr == nil && renewed != token {
			return w.once(ctx, method, name, header, f, renewed)
		}
	}
	return a, err
}

// answer is what a server says of a file.
type answer struct {
	sizeBytes int64
	header    http.Header
}

// once makes a request that ends when nothing has moved for the silence.
func (w *webdav) once(ctx context.Context, method, name string, header map[string]string, f File, token string) (answer, error) {
	silence := w.client.access.Silence
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing moved for %s", silence)) })
	defer watch.Stop()
	open := func() (io.ReadCloser, error) {
		from, err := f.Open()
		if err != nil {
			return nil, settled(err)
		}
		return struct {
			io.Reader
			io.Closer
		}{stagein.Progress{Reader: reader{ctx, from}, Moved: func() { watch.Reset(silence) }}, from}, nil
	}
	req, err := http.NewRequestWithContext(ctx, method, w.at.Join(name).String(), http.NoBody)
	if err != nil {
		return answer{}, exitcode.New(exitcode.OutputFailed, "%s is no address that can be asked for", w.at)
	}
	if f.Open != nil {
		if req.Body, err = open(); err != nil {
			return answer{}, err
		}
		req.GetBody, req.ContentLength = open, f.SizeBytes
		req.Header.Set("Expect", "100-continue")
	}
	for key, value := range header {
		req.Header.Set(key, value)
	}
	if token != "" && req.URL.Scheme == "https" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.http.Do(req)
	if err != nil {
		return answer{}, w.broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	words, _ := io.ReadAll(io.LimitReader(resp.Body, maxWords))
	if resp.StatusCode/100 != 2 {
		return answer{}, w.refusal(resp, method, stagein.Said(words))
	}
	return answer{resp.ContentLength, resp.Header}, nil
}

// token is what the file holds now.
func (w *webdav) token() (string, error) {
	return rangefile.Token(w.client.access.TokenFile, "--output-token-file")
}

// broken is an error on the way, without the address that it stands at, which may carry a token.
func (w *webdav) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err = rangefile.Bare(err)
	if _, ok := errors.AsType[rangefile.RedirectError](err); ok {
		return exitcode.Wrap(exitcode.OutputFailed, err)
	}
	if rangefile.Untrusted(err) {
		return exitcode.WithNext(exitcode.Wrap(exitcode.BadConfig, err), rangefile.NextUntrusted)
	}
	return err
}

// errNotAllowed says that a server does not do this.
var errNotAllowed = errors.New("not allowed")

// refusal is what an answer means that is none of success.
func (w *webdav) refusal(resp *http.Response, method string, said stagein.Said) error {
	err := fmt.Errorf("the server answers %s with %d %.40s%s", method, resp.StatusCode, http.StatusText(resp.StatusCode), said.LastWords())
	as := func(what error) error { return fmt.Errorf("%w (%w)", err, what) }
	for _, r := range refusals[1:] { // XRootD says with 500 what it would say with a number
		if said.Has(r.texts...) {
			return as(r.err)
		}
	}
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return as(fs.ErrNotExist)
	case http.StatusPreconditionFailed:
		return as(fs.ErrExist)
	case http.StatusInsufficientStorage:
		return as(syscall.ENOSPC)
	case http.StatusMethodNotAllowed:
		return as(errNotAllowed)
	case http.StatusUnauthorized, http.StatusForbidden:
		next := "name a file with a token that may write there by --output-token-file"
		if file := w.client.access.TokenFile; file != "" {
			next = "see whether the token in " + file + " is over, is for this server, and may write to this folder"
		}
		return exitcode.WithNext(exitcode.Wrap(exitcode.NoCredential, err), next)
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return err
	}
	if resp.StatusCode < http.StatusInternalServerError || resp.StatusCode == http.StatusNotImplemented {
		return exitcode.Wrap(exitcode.OutputFailed, err)
	}
	return err
}
