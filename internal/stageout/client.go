package stageout

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/stagein"
)

// Access is how servers are reached.
type Access struct {
	// TokenFile holds the bearer token, read anew for every request and sent over TLS alone; empty for servers that want none.
	TokenFile string
	// CADir holds authorities beside the system's; empty for none.
	CADir string
	// Program is xrdcp, beside which xrdfs lies; "xrdcp" when empty.
	Program string
	// Silence ends a try on which nothing moves for so long; 0 is 30 s.
	Silence time.Duration
}

const defaultSilence = 30 * time.Second

// Client makes stores. It may be used from several goroutines.
type Client struct {
	access Access
	http   *http.Client
}

// NewClient makes a client. Authorities that cannot be read are an error of the configuration.
func NewClient(a Access) (*Client, error) {
	a.Silence, a.Program = cmp.Or(a.Silence, defaultSilence), cmp.Or(a.Program, "xrdcp")
	transport, err := rangefile.Transport(a.CADir, a.Silence)
	if err != nil {
		return nil, err
	}
	// XRootD 5.5.3 lets a request on a connection with TLS that was used before hang now and then, until the silence is over.
	transport.DisableKeepAlives = true
	// A redirector answers before it has read the file: without a wait for it a body would go there in vain. Other servers say nothing
	// before they have read all.
	transport.ExpectContinueTimeout = a.Silence / 3
	anywhere := func(*url.URL) bool { return true } // without a token
	return &Client{access: a, http: &http.Client{Transport: transport, CheckRedirect: rangefile.CheckRedirect(anywhere)}}, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check finds what will never go: a server that needs a program which is not there.
func (c *Client) Check(p Place) error {
	if p.scheme != "root" && p.scheme != "roots" {
		return nil
	}
	if _, err := exec.LookPath(c.access.Program); err != nil {
		return exitcode.WithNext(exitcode.New(exitcode.SiteNoProgram, "%s: %w", p, err), stagein.NextInstall)
	}
	return nil
}

// Store is the store at a place, of which a folder within base is made when it is needed; see [NewFolder].
func (c *Client) Store(base, at Place) (Store, error) {
	if !at.Within(base) {
		return nil, exitcode.New(exitcode.DataInvalid, "%s is not within %s", at, base)
	}
	switch at.scheme {
	case "":
		return NewFolder(base, at)
	case "root", "roots":
		return &xrootd{at: at, program: c.access.Program, client: stagein.XRootD{TokenFile: c.access.TokenFile, CADir: c.access.CADir}, silence: c.access.Silence}, c.Check(at)
	default:
		return &webdav{at: at, client: c}, c.Check(at)
	}
}

// arrived compares a file with what a server says is there. A full one takes everything without a word, and keeps what it has room for.
func arrived(f File, size int64, sum string) error {
	if size < f.SizeBytes {
		return fmt.Errorf("the server said that all was well, and kept %d of %d bytes: it may be full", size, f.SizeBytes)
	}
	return compare(f, size, sum)
}
