package rangefile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// What follows is for who writes files over https, too.

const maxRedirects = 5

// Transport reaches servers that the system's authorities vouch for, or those of a folder. Authorities that cannot be read are an
// error of the configuration.
func Transport(caDir string, silence time.Duration) (*http.Transport, error) {
	pool, err := authorities(caDir)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: silence}).DialContext,
		TLSHandshakeTimeout: silence,
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}, nil
}

// authorities are those of the system, and those of a folder. nil stands for the system's.
func authorities(dir string) (*x509.CertPool, error) {
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

// RedirectError is a redirect that is not followed.
type RedirectError string

func (e RedirectError) Error() string { return string(e) }

// CheckRedirect is that of an [http.Client]: nothing becomes plain http on the way, or goes to another host over it than plain allows;
// nothing goes round in circles, and no server hears of the address that led to it, in which a token may stand.
func CheckRedirect(plain func(*url.URL) bool) func(req *http.Request, via []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return RedirectError(fmt.Sprintf("it was redirected %d times", maxRedirects))
		case req.URL.Scheme == "http" && (via[0].URL.Scheme != "http" || !plain(req.URL)):
			return RedirectError("it was redirected to plain http at " + req.URL.Hostname())
		case req.URL.Scheme != "http" && req.URL.Scheme != "https":
			return RedirectError("it was redirected to something else than https")
		}
		req.Header.Del("Referer")
		if req.URL.Scheme == "http" {
			req.Header.Del("Authorization")
		}
		return nil
	}
}

// Token is what a file with a token holds now; empty without a file. option is how another one is named.
func Token(file, option string) (string, error) {
	if file == "" {
		return "", nil
	}
	next := "name a file with a token by " + option + " or BEARER_TOKEN_FILE"
	text, err := os.ReadFile(file)
	if err != nil {
		return "", exitcode.WithNext(exitcode.New(exitcode.NoCredential, "reading the token: %w", err), next)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", exitcode.WithNext(exitcode.New(exitcode.NoCredential, "the token file %s holds no token", file), next)
	}
	return token, nil
}

// Digest is the adler32 that a server tells in a header; empty when it tells none.
func Digest(h http.Header) (sum string) {
	for part := range strings.SplitSeq(h.Get("Digest"), ",") {
		if algorithm, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(algorithm, "adler32") {
			sum = Adler32(value)
		}
	}
	return sum
}

// Bare is an error of net/http without the address, which may carry a token.
func Bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// Untrusted says that a server's certificate is not to be trusted: trying again mends nothing.
func Untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err) // it speaks no TLS
	return ok
}

// NextUntrusted is what to do about a server that is not trusted.
const NextUntrusted = "if the server is the right one, name the folder of its authorities by --input-ca-dir or X509_CERT_DIR"
