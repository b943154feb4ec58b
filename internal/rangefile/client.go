package rangefile

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// Config is how files are reached.
type Config struct {
	// TokenFile holds the bearer token; empty for servers that want none.
	TokenFile string
	// CADir holds authorities beside the system's, as /etc/grid-security/certificates does; empty for none.
	CADir string
	// HTTPHosts are those (host or host:port) that may be asked over plain http, which never gets the token.
	HTTPHosts []string
	// Silence ends a try on which nothing comes for so long (default 10 s, or the patience when that is less).
	Silence time.Duration
	// Patience is how long no byte may come, over all tries (default 1 min).
	Patience time.Duration
	// Logger hears of what is tried again; nil for nobody.
	Logger *slog.Logger
}

const (
	defaultSilence  = 10 * time.Second
	defaultPatience = time.Minute
)

// Client opens files. It may be used from several goroutines.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client. Authorities that cannot be read are an error of the configuration.
func New(cfg Config) (*Client, error) {
	cfg.Patience = cmp.Or(cfg.Patience, defaultPatience)
	cfg.Silence = cmp.Or(cfg.Silence, min(defaultSilence, cfg.Patience))
	if cfg.Logger == nil {
		cfg.Logger = logging.Discard()
	}
	transport, err := Transport(cfg.CADir, cfg.Silence)
	if err != nil {
		return nil, err
	}
	transport.DisableCompression = true // of bytes that are counted
	transport.MaxIdleConnsPerHost = 8
	transport.IdleConnTimeout = time.Minute
	c := &Client{cfg: cfg}
	c.http = &http.Client{Transport: transport, CheckRedirect: CheckRedirect(c.plain)}
	return c, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// plain says whether a host may be asked over plain http.
func (c *Client) plain(u *url.URL) bool {
	return slices.Contains(c.cfg.HTTPHosts, u.Host) || slices.Contains(c.cfg.HTTPHosts, u.Hostname())
}

// Parse reads the address of a file and refuses what names none, or more than one: a user, a password, a query (in which tokens
// travel) or a fragment. Its errors show nothing of these.
func Parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, exitcode.New(exitcode.DataInvalid, "the input's address cannot be read") // the error would show all of it
	}
	name := Name(u)
	switch {
	case u.Hostname() == "":
		return nil, exitcode.New(exitcode.DataInvalid, "%s names no server", name)
	case u.User != nil:
		return nil, exitcode.New(exitcode.DataInvalid, "%s comes with a user or password, which has no place in a message", name)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, exitcode.New(exitcode.DataInvalid, "%s comes with a query or fragment, which may hold a token and has no place in a message", name)
	case strings.Trim(u.Path, "/") == "" || strings.HasSuffix(u.Path, "/"):
		return nil, exitcode.New(exitcode.DataInvalid, "%s names no file", name)
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return nil, exitcode.New(exitcode.DataInvalid, "%s leads upward", name)
	case path.Base(u.Path) == ".": // which would be a folder wherever the file is kept
		return nil, exitcode.New(exitcode.DataInvalid, "%s names no file", name)
	case strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, exitcode.New(exitcode.DataInvalid, "the input's address at %s has a control character in it", u.Host)
	}
	return u, nil
}

// Name is an address as it may be shown: without user, password, query and fragment.
func Name(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
