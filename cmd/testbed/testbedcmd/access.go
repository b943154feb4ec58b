package testbedcmd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// access is who may speak with the broker, and how.
type access struct {
	Users   string `toml:"users" help:"TOML file with who may come in, as login = \"passcode\"; everybody when empty"`
	TLSCert string `toml:"tls_cert" help:"certificate of the broker and those that signed it (PEM); without it no TLS is spoken"`
	TLSKey  string `toml:"tls_key" help:"key of the certificate (PEM)"`
}

// users reads the file of logins. Nothing of its text is quoted in an error but logins.
func (a access) users() (map[string]string, error) {
	if a.Users == "" {
		return nil, nil //nolint:nilnil // what stompd.Config takes for everybody
	}
	text, err := program.ReadPrivate(a.Users)
	if err != nil {
		return nil, err
	}
	var entries map[string]any
	if err := config.DecodeTOML(a.Users, text, &entries); err != nil {
		return nil, err
	}
	users := map[string]string{}
	var errs []error
	for login, value := range entries {
		passcode, isText := value.(string)
		switch {
		case login == "":
			errs = append(errs, errors.New("a login is empty"))
		case !isText:
			errs = append(errs, fmt.Errorf("%q has no passcode in quotes", login))
		case passcode == "":
			errs = append(errs, fmt.Errorf("%q has an empty passcode", login))
		}
		users[login] = passcode
	}
	if len(entries) == 0 {
		errs = append(errs, errors.New("nobody is in it, so nobody could come in"))
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, exitcode.New(exitcode.BadConfig, "%s: %w", a.Users, errors.Join(errs...))
	}
	return users, nil
}

// tls is the broker's side of TLS; nil without it.
func (a access) tls() (*tls.Config, error) {
	switch {
	case a.TLSCert == "" && a.TLSKey == "":
		return nil, nil //nolint:nilnil // no TLS
	case a.TLSCert == "" || a.TLSKey == "":
		return nil, exitcode.New(exitcode.Usage, "--tls-cert and --tls-key go together")
	}
	certificate, err := os.ReadFile(a.TLSCert)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "reading --tls-cert: %w", err)
	}
	key, err := program.ReadPrivate(a.TLSKey)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "%s and %s: %w", a.TLSCert, a.TLSKey, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "%s: %w", a.TLSCert, err)
	}
	now := time.Now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return nil, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "the certificate %s is valid from %s to %s only", a.TLSCert,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339)), "no client would trust it: get a new one, or mend the clock")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}
