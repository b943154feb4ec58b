package rangefile

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
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
	maxRedirects    = 5
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
	pool, err := Authorities(cfg.CADir)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: cfg.Silence}).DialContext,
			TLSHandshakeTimeout: cfg.Silence,
			TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			DisableCompression:  true, // of bytes that are counted
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: c.checkRedirect,
	}
	return c, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Authorities are those of the system, and those of a folder. nil stands for the system's.
func Authorities(dir string) (*x509.CertPool, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "reading the folder of authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	found := false
	for _, e := range entries {
		if !slices.Contains([]string{".pem", ".crt", ".0"}, filepath.Ext(e.Name())) {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			found = pool.AppendCertsFromPEM(text) || found
		}
	}
	if !found {
		return nil, exitcode.New(exitcode.BadConfig, "%s holds no certificate of an authority (*.pem, *.crt, *.0)", dir)
	}
	return pool, nil
}

// redirectError is a redirect that is not followed.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// checkRedirect lets nothing become plain http on the way, and nothing go round in circles.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return redirectError(fmt.Sprintf("it was redirected %d times", maxRedirects))
	case req.URL.Scheme == "http" && (via[0].URL.Scheme != "http" || !c.plain(req.URL)):
		return redirectError("it was redirected to plain http at " + req.URL.Hostname())
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return redirectError("it was redirected to something else than https")
	}
	if req.URL.Scheme == "http" {
		req.Header.Del("Authorization")
	}
	return nil
}

// plain says whether a host may be asked over plain http.
func (c *Client) plain(u *url.URL) bool {
	return slices.Contains(c.cfg.HTTPHosts, u.Host) || slices.Contains(c.cfg.HTTPHosts, u.Hostname())
}

// token is what the file holds now; empty without a file.
func (c *Client) token() (string, error) {
	if c.cfg.TokenFile == "" {
		return "", nil
	}
	const next = "name a file with a token by --input-token-file or BEARER_TOKEN_FILE"
	text, err := os.ReadFile(c.cfg.TokenFile)
	if err != nil {
		return "", exitcode.WithNext(exitcode.New(exitcode.NoCredential, "reading the token for input: %w", err), next)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", exitcode.WithNext(exitcode.New(exitcode.NoCredential, "the token file %s holds no token", c.cfg.TokenFile), next)
	}
	return token, nil
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

// cleaned is an error of net/http without the address, which may carry a token.
func cleaned(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
