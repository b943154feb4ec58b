package relay

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rest"
)

// Credential is what proves who asks.
type Credential struct {
	// Token and VO are sent as Authorization and Origin.
	Token, VO string
	// Certificates hold the proxy certificate when there is no token.
	Certificates []tls.Certificate
	// From is where it came from, for messages: a variable, and the file that it names.
	From string
	// File is the file that holds the secret; empty when a variable does.
	File string
}

// Name is the credential as messages should call it.
func (c Credential) Name() string {
	switch {
	case c.Token != "":
		return "the token of " + c.From
	case c.Certificates != nil:
		return "the proxy certificate of " + c.From
	default:
		return "a request without token and proxy certificate"
	}
}

// FromEnvironment is the relay as the PanDA pilot, its wrapper or a user names it. ok is false when nobody does. The error names
// the variable and what is wrong with what it holds.
func FromEnvironment(env func(string) string) (cfg Config, ok bool, err error) {
	cfg = Config{URL: address(env), IDDS: env("IDDS_HOST")}
	if cfg.URL == "" {
		return cfg, false, nil
	}
	if cfg.Credential, err = credential(env, time.Now()); err != nil {
		return cfg, true, err
	}
	cfg.Roots, err = roots(env)
	return cfg, true, err
}

// address is PANDA_URL_SSL, else what the pilot says of its server, which lacks the path.
func address(env func(string) string) string {
	if u := env("PANDA_URL_SSL"); u != "" {
		return u
	}
	u := strings.TrimSuffix(env("PANDA_SERVER_URL"), "/")
	if _, port, ok := cutLast(u, ":"); ok {
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return u + "/server/panda"
		}
	}
	return u
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// ErrNone says that nothing names a credential, which is another matter than one that cannot be used.
var ErrNone = errors.New("no token and no proxy certificate for the PanDA relay")

// credential is the first that is named: the pilot's token, a user's token, a proxy certificate.
func credential(env func(string) string, now time.Time) (Credential, error) {
	vo := cmp.Or(env("PANDA_AUTH_ORIGIN"), env("PANDA_AUTH_VO"), env("OIDC_AUTH_VO"), env("IDDS_VO"))
	if path := env("PANDA_AUTH_DIR"); path != "" {
		if info, err := os.Stat(path); err == nil && info.IsDir() && env("PANDA_AUTH_TOKEN") != "" {
			path = filepath.Join(path, env("PANDA_AUTH_TOKEN"))
		}
		return tokenFile("PANDA_AUTH_DIR", path, vo, now)
	}
	if token := env("PANDA_AUTH_ID_TOKEN"); token != "" {
		return withToken("PANDA_AUTH_ID_TOKEN", "", token, vo, now)
	}
	if path := env("OIDC_AUTH_TOKEN_FILE"); path != "" {
		return tokenFile("OIDC_AUTH_TOKEN_FILE", path, vo, now)
	}
	if token := env("OIDC_AUTH_ID_TOKEN"); token != "" {
		return withToken("OIDC_AUTH_ID_TOKEN", "", token, vo, now)
	}
	if path := env("X509_USER_PROXY"); path != "" {
		return proxy("X509_USER_PROXY", path, now)
	}
	path := filepath.Join(os.TempDir(), "x509up_u"+strconv.Itoa(os.Getuid()))
	if _, err := os.Stat(path); err == nil {
		return proxy("the user's default proxy", path, now)
	}
	return Credential{}, exitcode.WithNext(exitcode.New(exitcode.NoCredential, "%w", ErrNone),
		"name a token file by PANDA_AUTH_DIR and its VO by PANDA_AUTH_ORIGIN, or a proxy by X509_USER_PROXY")
}

// secretFile reads a file that only its owner and group may read.
func secretFile(variable, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, exitcode.New(exitcode.NoCredential, "%s: %w", variable, err)
	}
	if info.IsDir() {
		return nil, exitcode.New(exitcode.NoCredential, "%s: %s is a folder, and PANDA_AUTH_TOKEN names no file in it", variable, path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, exitcode.WithNext(exitcode.New(exitcode.NoCredential, "%s: %s is open to everybody on this machine (mode %04o)", variable, path, mode), "chmod 600 it")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, exitcode.New(exitcode.NoCredential, "%s: %w", variable, err)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return nil, exitcode.New(exitcode.NoCredential, "%s: %s is empty", variable, path)
	}
	return b, nil
}

func tokenFile(variable, path, vo string, now time.Time) (Credential, error) {
	b, err := secretFile(variable, path)
	if err != nil {
		return Credential{}, err
	}
	return withToken(variable, path, string(b), vo, now)
}

// withToken holds a token to what can be seen without a key: its form, and when it expires.
func withToken(variable, path, token, vo string, now time.Time) (Credential, error) {
	c := Credential{Token: strings.TrimSpace(token), VO: vo, From: variable, File: path}
	if path != "" {
		c.From += " (" + path + ")"
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Credential{}, exitcode.New(exitcode.NoCredential, "%s holds no token: there is white space or a control character in it", c.From)
	}
	if vo == "" {
		return Credential{}, exitcode.New(exitcode.NoCredential, "%s is a token of an unknown VO: name it by PANDA_AUTH_ORIGIN, such as EIC", c.From)
	}
	if end, ok := rest.TokenExpiry(c.Token); ok && !now.Before(end) {
		return Credential{}, exitcode.New(exitcode.NoCredential, "%s expired at %s", c.Name(), end.UTC().Format(time.RFC3339))
	}
	return c, nil
}

// proxy reads a proxy certificate: certificate, key and chain in one file.
func proxy(variable, path string, now time.Time) (Credential, error) {
	b, err := secretFile(variable, path)
	if err != nil {
		return Credential{}, err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return Credential{}, exitcode.New(exitcode.NoCredential, "%s: %s is no proxy certificate: %w", variable, path, err)
	}
	if pair.Leaf != nil && now.After(pair.Leaf.NotAfter) {
		return Credential{}, exitcode.New(exitcode.NoCredential, "%s: the proxy certificate %s expired at %s", variable, path, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return Credential{Certificates: []tls.Certificate{pair}, From: variable + " (" + path + ")", File: path}, nil
}

// roots are the system's authorities and those named for us; nil for the system's alone.
func roots(env func(string) string) (*x509.CertPool, error) {
	file, folder := env("TFPILOT_RELAY_CA_FILE"), env("X509_CERT_DIR")
	if file == "" && folder == "" {
		return nil, nil //nolint:nilnil // what crypto/tls takes for the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, exitcode.New(exitcode.BadConfig, "TFPILOT_RELAY_CA_FILE: %w", err)
		}
		if !pool.AppendCertsFromPEM(b) {
			return nil, exitcode.New(exitcode.BadConfig, "TFPILOT_RELAY_CA_FILE: %s holds no certificate", file)
		}
	}
	if folder == "" {
		return pool, nil
	}
	// Grid folders hold hundreds of files, certificates and revocation lists; one that cannot be read is one authority less.
	for _, pattern := range []string{"*.pem", "*.0"} {
		names, _ := fs.Glob(os.DirFS(folder), pattern)
		for _, name := range names {
			if b, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
				pool.AppendCertsFromPEM(b)
			}
		}
	}
	return pool, nil
}
