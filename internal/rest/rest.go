// Package rest is the client of idds' REST interface that all programs use: JSON in and out, a bearer token, bounded answers,
// and errors that say whose fault they are.
package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"tfpilot/internal/exitcode"
)

// maxAnswer bounds an answer in bytes.
const maxAnswer = 256 << 20

// Config is how to reach idds.
type Config struct {
	// Base is an address such as https://idds.example.org:8443.
	Base string
	// Token is sent as bearer token.
	Token string
	// Role is what the token should be of, for the next step after a refusal.
	Role string
	// Retries is how often a request is repeated that found nobody, or a server's fault.
	Retries int
	// Timeout bounds one attempt (default 20 s).
	Timeout time.Duration
	// ServerName is what the certificate has to be for, where that is not the host of Base.
	ServerName string
}

// Client asks one idds.
type Client struct {
	base, token, role string
	http              *retryablehttp.Client
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Code int
	// Detail is what the service said about it, Body all of it.
	Detail string
	Body   []byte
}

func (e *StatusError) Error() string {
	if e.Detail == "" {
		return http.StatusText(e.Code)
	}
	return http.StatusText(e.Code) + ": " + e.Detail
}

// New makes a client.
func New(cfg Config) *Client {
	h := retryablehttp.NewClient()
	h.Logger, h.RetryMax, h.RetryWaitMin, h.RetryWaitMax = nil, cfg.Retries, 200*time.Millisecond, 5*time.Second
	h.ErrorHandler = retryablehttp.PassthroughErrorHandler
	h.HTTPClient.Timeout = 20 * time.Second
	if cfg.Timeout > 0 {
		h.HTTPClient.Timeout = cfg.Timeout
	}
	if transport, ok := h.HTTPClient.Transport.(*http.Transport); ok && cfg.ServerName != "" {
		transport.TLSClientConfig = &tls.Config{ServerName: cfg.ServerName, MinVersion: tls.VersionTLS12}
	}
	return &Client{base: strings.TrimSuffix(cfg.Base, "/"), token: cfg.Token, role: cfg.Role, http: h}
}

// Read asks for a path and decodes the answer.
func (c *Client) Read(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// File asks for a path whose answer is a file.
func (c *Client) File(ctx context.Context, path string) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, path, nil)
}

// Post sends a document and decodes the answer.
func (c *Client) Post(ctx context.Context, path string, document, into any) error {
	b, err := json.Marshal(document)
	if err != nil {
		return exitcode.New(exitcode.Internal, "encoding for %s: %w", path, err)
	}
	return c.do(ctx, http.MethodPost, path, b, into)
}

// Delete asks for something to be ended and decodes the answer.
func (c *Client) Delete(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodDelete, path, nil, into)
}

// trustNext is what to do about a certificate that is not trusted.
func trustNext(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "ask it by a name that its certificate is for, or get it one for this name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "get it a new certificate, which it takes without a restart, or mend the clock of this machine"
	}
	return "authorities of your own stand in the file that SSL_CERT_FILE names"
}

// do makes one request and decodes the answer.
func (c *Client) do(ctx context.Context, method, path string, body []byte, into any) error {
	b, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return exitcode.New(exitcode.NoService, "decoding the answer of idds at %s: %w", c.base, err)
	}
	return nil
}

// ask makes one request. Refusals of the token are of class credential, a [StatusError] is in the chain of every refusal.
func (c *Client) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "idds address %s: %w", c.base, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		failed := exitcode.New(exitcode.NoService, "asking idds: %w", err)
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			failed = exitcode.WithNext(failed, trustNext(err))
		}
		return nil, failed
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, exitcode.New(exitcode.NoService, "reading the answer of idds at %s: %w", c.base, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, c.refused(resp.StatusCode, path, b)
	}
	return b, nil
}

// refused is the error of an answer that is none.
func (c *Client) refused(status int, path string, b []byte) error {
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(b, &problem)                                                           // not ours: the status alone says it
	if problem.Detail == "" && bytes.Contains(b, []byte("HTTP request to an HTTPS server")) { // as Go's servers say it
		problem.Detail = "it speaks TLS: its address begins with https://"
	}
	refused := &StatusError{status, problem.Detail, b}
	for _, e := range problem.Errors {
		refused.Detail += "; " + e.Location + ": " + e.Message
	}
	return exitcode.Wrap(failure(status), c.explain(status, fmt.Errorf("asking idds at %s for %s: %w", c.base, path, refused)))
}

// failure is the place of a status in the table.
func failure(status int) exitcode.Failure {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitcode.NoCredential
	case http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusBadRequest:
		return exitcode.Usage
	default:
		return exitcode.NoService
	}
}
