package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/pilot/relay"
)

// file writes a file with exactly this mode.
func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chmod(path, mode))
	return path
}

// environment is a PanDA job's, with some variables more.
func environment(vars ...string) func(string) string {
	all := map[string]string{"PANDA_SERVER_URL": "https://panda.example.org:25443"}
	for i := 0; i < len(vars); i += 2 {
		all[vars[i]] = vars[i+1]
	}
	return func(name string) string { return all[name] }
}

func webToken(end time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(fmt.Sprintf(`{"exp":%d}`, end.Unix())) + "." + part("s3cret")
}

// proxyFile is a certificate with its key, valid until end, and the certificate alone.
func proxyFile(t *testing.T, end time.Time) (text string, certificate *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, NotBefore: end.Add(-time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	must(t, err)
	certificate, err = x509.ParseCertificate(der)
	must(t, err)
	private, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})), certificate
}

func TestTheCredentialIsTheFirstThatIsNamed(t *testing.T) {
	t.Parallel()
	pilots, users := file(t, "token-of-pilot\n", 0o600), file(t, "token-of-user", 0o640)
	folder := filepath.Dir(pilots)
	certificate, _ := proxyFile(t, time.Now().Add(time.Hour))
	proxy := file(t, certificate, 0o600)
	for _, c := range []struct {
		name, token, vo string
		env             []string
	}{
		{"the pilot's file", "token-of-pilot", "EIC", []string{"PANDA_AUTH_DIR", pilots, "PANDA_AUTH_ORIGIN", "EIC", "PANDA_AUTH_ID_TOKEN", "other"}},
		{"a file in the pilot's folder", "token-of-pilot", "EIC", []string{"PANDA_AUTH_DIR", folder, "PANDA_AUTH_TOKEN", "secret", "PANDA_AUTH_ORIGIN", "EIC"}},
		{"a value", "value", "EIC.production", []string{"PANDA_AUTH_ID_TOKEN", "value", "PANDA_AUTH_VO", "EIC.production", "OIDC_AUTH_TOKEN_FILE", users}},
		{"a user's file", "token-of-user", "EIC", []string{"OIDC_AUTH_TOKEN_FILE", users, "OIDC_AUTH_VO", "EIC", "OIDC_AUTH_ID_TOKEN", "other"}},
		{"a user's value", "value", "EIC", []string{"OIDC_AUTH_ID_TOKEN", "value", "IDDS_VO", "EIC", "X509_USER_PROXY", proxy}},
		{"a token that has not expired", webToken(time.Now().Add(time.Hour)), "EIC", []string{"PANDA_AUTH_ID_TOKEN", webToken(time.Now().Add(time.Hour)), "PANDA_AUTH_VO", "EIC"}},
		{"a proxy", "", "", []string{"X509_USER_PROXY", proxy}},
	} {
		cfg, ok, err := relay.FromEnvironment(environment(c.env...))
		if err != nil || !ok || cfg.Credential.Token != c.token || cfg.Credential.VO != c.vo || (c.token == "") != (len(cfg.Credential.Certificates) == 1) {
			t.Errorf("%s: %+v, %v", c.name, cfg.Credential.Name(), err)
		}
	}
}

func TestABadCredentialIsNamedAndNotShown(t *testing.T) {
	t.Parallel()
	old, _ := proxyFile(t, time.Now().Add(-time.Minute))
	for _, c := range []struct {
		name, want string
		env        []string
	}{
		{"no file", "PANDA_AUTH_DIR: stat ", []string{"PANDA_AUTH_DIR", "/nowhere/token", "PANDA_AUTH_ORIGIN", "EIC"}},
		{"a folder", "is a folder", []string{"PANDA_AUTH_DIR", t.TempDir(), "PANDA_AUTH_ORIGIN", "EIC"}},
		{"empty", "is empty", []string{"PANDA_AUTH_DIR", file(t, " \n", 0o600), "PANDA_AUTH_ORIGIN", "EIC"}},
		{"world-readable", "open to everybody on this machine (mode 0644)", []string{"PANDA_AUTH_DIR", file(t, "s3cret", 0o644), "PANDA_AUTH_ORIGIN", "EIC"}},
		{"expired", "expired at 20", []string{"PANDA_AUTH_DIR", file(t, webToken(time.Now().Add(-time.Minute)), 0o600), "PANDA_AUTH_ORIGIN", "EIC"}},
		{"expired value", "the token of PANDA_AUTH_ID_TOKEN expired", []string{"PANDA_AUTH_ID_TOKEN", webToken(time.Now().Add(-time.Minute)), "PANDA_AUTH_VO", "EIC"}},
		{"not one word", "white space", []string{"PANDA_AUTH_ID_TOKEN", "s3cret of\nmine", "PANDA_AUTH_VO", "EIC"}},
		{"no VO", "PANDA_AUTH_ORIGIN", []string{"PANDA_AUTH_ID_TOKEN", "s3cret"}},
		{"no proxy", "is no proxy certificate", []string{"X509_USER_PROXY", file(t, "s3cret", 0o600)}},
		{"expired proxy", "expired at", []string{"X509_USER_PROXY", file(t, old, 0o600)}},
		{"world-readable proxy", "mode 0604", []string{"X509_USER_PROXY", file(t, old, 0o604)}},
	} {
		_, ok, err := relay.FromEnvironment(environment(c.env...))
		if !ok || exitcode.From(err) != exitcode.NoCredential || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTheServerIsNamedAsThePilotOrTheUserDoes(t *testing.T) {
	t.Parallel()
	auth := []string{"PANDA_AUTH_ID_TOKEN", "t", "PANDA_AUTH_VO", "EIC"}
	for _, c := range []struct{ server, ssl, want string }{
		{"https://panda.example.org:25443", "", "https://panda.example.org:25443/server/panda"},
		{"https://panda.example.org:25443/", "", "https://panda.example.org:25443/server/panda"},
		{"https://panda.example.org:25443/server/panda", "", "https://panda.example.org:25443/server/panda"},
		{"https://one:25443", "https://two:443/server/panda", "https://two:443/server/panda"},
	} {
		cfg, ok, err := relay.FromEnvironment(environment(append(auth, "PANDA_SERVER_URL", c.server, "PANDA_URL_SSL", c.ssl)...))
		if err != nil || !ok || cfg.URL != c.want {
			t.Errorf("%+v: %s, %v", c, cfg.URL, err)
		}
	}
	if _, ok, err := relay.FromEnvironment(environment("PANDA_SERVER_URL", "")); ok || err != nil {
		t.Errorf("a relay out of nothing: %v", err)
	}
}

func TestAProxyCertificateIsShownWithoutTokenAndOrigin(t *testing.T) {
	t.Parallel()
	text, certificate := proxyFile(t, time.Now().Add(time.Hour))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || !r.TLS.PeerCertificates[0].Equal(certificate) {
			t.Error("no client certificate")
		}
		if r.Header.Get("Authorization") != "" || r.Header.Get("Origin") != "" {
			t.Errorf("headers %v", r.Header)
		}
		_, _ = w.Write(fixture(t, "relay_response.json"))
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert} //nolint:gosec // a test's
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cas := t.TempDir()
	must(t, os.WriteFile(filepath.Join(cas, "1a2b3c4d.0"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	cfg, _, err := relay.FromEnvironment(environment("PANDA_SERVER_URL", srv.URL, "X509_USER_PROXY", file(t, text, 0o600), "X509_CERT_DIR", cas))
	must(t, err)
	c, err := relay.New(cfg)
	must(t, err)
	_, err = c.PromptBroker(t.Context())
	must(t, err)
}

func TestAnAuthorityThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/nowhere/ca.pem", file(t, "no certificate", 0o644)} {
		_, _, err := relay.FromEnvironment(environment("PANDA_AUTH_ID_TOKEN", "t", "PANDA_AUTH_VO", "EIC", "TFPILOT_RELAY_CA_FILE", path))
		if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
