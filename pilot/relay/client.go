package relay

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/metainfo"
)

// Config is how to reach the relay.
type Config struct {
	// URL is the server's legacy interface, such as https://pandaserver.example.org:25443/server/panda.
	URL string
	// IDDS is the base of another iDDS than the server's own; none when empty.
	IDDS string
	// Credential is a token, or a client certificate.
	Credential Credential
	// Roots are the authorities that may have signed the server's certificate; the system's when nil.
	Roots *x509.CertPool
	// Timeout bounds one call (default 150 s: a server whose iDDS is down says so after 100).
	Timeout time.Duration
	// Transport replaces the network with its TLS, for tests.
	Transport http.RoundTripper
	// Logger gets a line now and then while the server is silent; nobody when nil.
	Logger *slog.Logger
}

const (
	defaultTimeout = 150 * time.Second
	// progressEvery is how often a person who reads the log hears that we still wait.
	progressEvery = 20 * time.Second
	// maxAnswer bounds an answer in bytes: the real one has less than a thousand.
	maxAnswer = 1 << 20
	// tries of a call that found nobody.
	tries = 3
)

// Client asks one relay.
type Client struct {
	cfg  Config
	http *retryablehttp.Client
	// legacy and modern are the two endpoints.
	legacy, modern string
}

// New makes a client. It refuses to send a token in clear text to another machine.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil {
		return nil, exitcode.New(exitcode.BadConfig, "PANDA_URL_SSL (or PANDA_SERVER_URL) is no address such as https://pandaserver.example.org:25443/server/panda")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return nil, exitcode.New(exitcode.BadConfig, "the PanDA server %s is to be reached without TLS: only https is used beyond this machine", u.Host)
	}
	if cfg.Logger == nil {
		cfg.Logger = logging.Discard()
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	h := retryablehttp.NewClient()
	h.Logger, h.RetryMax, h.RetryWaitMin, h.RetryWaitMax = nil, tries-1, 200*time.Millisecond, 5*time.Second
	h.ErrorHandler, h.CheckRetry = retryablehttp.PassthroughErrorHandler, again
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 20 * time.Second,
			TLSClientConfig: &tls.Config{RootCAs: cfg.Roots, Certificates: cfg.Credential.Certificates, MinVersion: tls.VersionTLS12},
		}
	}
	h.HTTPClient = &http.Client{
		Timeout: cfg.Timeout, Transport: cfg.Transport,
		// What comes after a redirection would be asked without the token, or tell it to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{
		cfg: cfg, http: h,
		legacy: strings.TrimSuffix(cfg.URL, "/") + "/relay_idds_command",
		modern: u.Scheme + "://" + u.Host + "/api/v1/idds/relay_idds_command",
	}, nil
}

// again repeats what found nobody, but not what was too slow: a second wait of minutes helps nobody.
func again(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// PromptBroker fetches the broker configuration.
func (c *Client) PromptBroker(ctx context.Context) (metainfo.PromptBroker, error) {
	defer c.progress(ctx)()
	out, err := c.call(ctx, c.legacy, "")
	if gone, ok := errors.AsType[*noEndpointError](err); ok {
		c.cfg.Logger.InfoContext(ctx, "the server has no legacy relay; asking its new interface", slog.Int("status", gone.status))
		out, err = c.call(ctx, c.modern, "gzip")
	}
	if err != nil {
		return out, c.explain(err)
	}
	if err := out.Validate(); err != nil {
		return out, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "the broker configuration from the PanDA relay %s: %w", c.legacy, err),
			"the [prompt] section of the iDDS server's idds.cfg lacks it; a prompt.conf named by PROMPT_TRANSFORM_CONF goes before the relay")
	}
	return out, nil
}

// progress says now and then that we still wait; the function that it returns ends that.
func (c *Client) progress(ctx context.Context) (stop func()) {
	started, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				c.cfg.Logger.InfoContext(ctx, "waiting for the PanDA relay", slog.String("url", c.legacy), slog.Duration("for", time.Since(started).Round(time.Second)))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// noEndpointError is a server's answer that it does not know the path.
type noEndpointError struct{ status int }

func (e *noEndpointError) Error() string {
	return fmt.Sprintf("%d %s", e.status, http.StatusText(e.status))
}

// call makes one call. The legacy endpoint takes every JSON body for gzip and is told nothing of it: encoding is empty then.
func (c *Client) call(ctx context.Context, endpoint, encoding string) (metainfo.PromptBroker, error) {
	var none metainfo.PromptBroker
	body, err := request(c.cfg.IDDS)
	if err != nil {
		return none, exitcode.New(exitcode.Internal, "encoding the call of the relay: %w", err)
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, endpoint, body)
	if err != nil {
		return none, exitcode.New(exitcode.BadConfig, "the address of the PanDA relay: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if c.cfg.Credential.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Credential.Token)
		req.Header.Set("Origin", c.cfg.Credential.VO)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return none, c.unreached(ctx, endpoint, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return none, c.unreached(ctx, endpoint, err)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed, resp.StatusCode == http.StatusGone:
		return none, exitcode.New(exitcode.NoService, "the PanDA relay %s answered: %w", endpoint, &noEndpointError{resp.StatusCode})
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return none, exitcode.New(exitcode.NoCredential, "the PanDA relay %s refused %s: %d %s", endpoint, c.cfg.Credential.Name(), resp.StatusCode, brief(b))
	case resp.StatusCode != http.StatusOK:
		return none, exitcode.New(exitcode.NoService, "the PanDA relay %s answered %d %s", endpoint, resp.StatusCode, brief(b))
	}
	out, err := decode(b)
	if err != nil {
		return none, fmt.Errorf("the PanDA relay %s %w", endpoint, err)
	}
	return out, nil
}

// unreached says why there is no answer; a server's certificate that is not trusted is a matter of configuration.
func (c *Client) unreached(ctx context.Context, endpoint string, err error) error {
	if ctx.Err() != nil {
		return exitcode.New(exitcode.Interrupted, "ended while waiting for the PanDA relay %s: %w", endpoint, context.Cause(ctx))
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return exitcode.New(exitcode.NoService, "the PanDA relay %s did not answer within %s", endpoint, c.cfg.Timeout)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return exitcode.WithNext(exitcode.New(exitcode.BadConfig, "calling the PanDA relay: %w", err),
			"the authority that signed it can be named by TFPILOT_RELAY_CA_FILE, SSL_CERT_FILE or X509_CERT_DIR")
	}
	return exitcode.New(exitcode.NoService, "calling the PanDA relay: %w", err)
}

// explain adds the next step, and takes the token out of what a server may have echoed.
func (c *Client) explain(err error) error {
	failure, next := exitcode.From(err), exitcode.Next(err)
	if token := c.cfg.Credential.Token; token != "" {
		err = masked{err, strings.ReplaceAll(err.Error(), token, "***")}
	}
	switch failure {
	case exitcode.NoService:
		next = "check PANDA_URL_SSL and that the server's iDDS runs; a prompt.conf named by PROMPT_TRANSFORM_CONF needs neither"
	case exitcode.NoCredential:
		next = "renew the token or proxy, and check that PANDA_AUTH_ORIGIN names its VO"
	}
	return exitcode.WithNext(exitcode.Wrap(failure, err), next)
}

// masked is an error with another text.
type masked struct {
	error
	text string
}

func (m masked) Error() string { return m.text }
func (m masked) Unwrap() error { return m.error }

// request is the body of the call: gzip of what the production client sends.
func request(idds string) ([]byte, error) {
	command := "get_metainfo"
	if idds != "" {
		command += "+" + idds
	}
	document, err := json.Marshal(struct {
		CommandName string `json:"command_name"`
		KWArgs      string `json:"kwargs"` // JSON within JSON
		Manager     bool   `json:"manager"`
	}{command, `{"name": "prompt_broker"}`, true})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(document); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
