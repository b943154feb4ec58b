package postgres

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/internal/exitcode"
)

const (
	// dialLimit is how long a connection may take to come about.
	dialLimit = 5 * time.Second
	// lockLimit is how long a statement waits for what another session has locked.
	lockLimit = 5 * time.Second
	// readLimit is how long a question may take.
	readLimit = time.Minute
)

// IsURL reports whether a store is named that this package is for.
func IsURL(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// HasPassword reports whether an address has a password in it, also where it is no proper address.
func HasPassword(store string) bool {
	u, err := url.Parse(store)
	if err != nil {
		return strings.Contains(store, "@")
	}
	_, inUser := u.User.Password()
	return inUser || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// Address is what may be shown of a URL: no secret, none of the settings.
func Address(store string) string {
	u, err := url.Parse(store)
	if err != nil {
		return "postgres://..."
	}
	shown := url.URL{Scheme: "postgres", Host: u.Host, Path: u.Path}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
	}
	return shown.String()
}

// parse understands a URL together with the usual variables (PGPASSFILE, PGPASSWORD, PGSSLROOTCERT ...).
func parse(store string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(store)
	if err != nil || !IsURL(store) {
		return nil, exitcode.New(exitcode.Usage, "the store is no address such as postgres://idds@db.example.org/idds") // the error would quote it
	}
	query := u.Query()
	mode, err := sslMode(u.Hostname(), query)
	if err != nil {
		return nil, exitcode.New(exitcode.Usage, "the store %s: %w", Address(store), err)
	}
	query.Set("sslmode", mode)
	u.RawQuery = query.Encode()
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, exitcode.New(exitcode.Usage, "the store %s: %w", Address(store), err)
	}
	cfg.ConnectTimeout = dialLimit
	maps.Copy(cfg.RuntimeParams, map[string]string{
		"application_name": self(),
		"lock_timeout":     millis(lockLimit), "statement_timeout": millis(readLimit),
		// A host that died holds its locks no longer than deadLimit: also one to which an answer is under way, of which keep-alives know
		// nothing; the system would send that again for a quarter of an hour.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": millis(deadLimit),
	})
	return cfg, nil
}

// sslMode is how a connection is secured: a certificate is verified always, and only this machine is spoken to without one unless
// that is asked for.
func sslMode(host string, query url.Values) (string, error) {
	mode := query.Get("sslmode")
	if mode == "" {
		mode = os.Getenv("PGSSLMODE")
	}
	ip := net.ParseIP(host)
	switch {
	case mode == "verify-full" || mode == "disable":
		return mode, nil
	case mode != "":
		return "", fmt.Errorf("sslmode=%s does not verify who the server is; use verify-full (with sslrootcert=FILE for authorities of your own) or disable", mode)
	case host == "" || host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback():
		return "disable", nil
	default:
		return "verify-full", nil
	}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// self is how others see us in the list of sessions.
func self() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("idds %.40s pid %d", host, os.Getpid())
}
