package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

// certified is a certificate of its own authority, and the file with that.
func certified(t *testing.T, template *x509.Certificate) (certificate tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.IsCA, template.BasicConstraintsValid = big.NewInt(1), true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// why is the reason that a link has for not being connected.
func why(t *testing.T, l *broker.Link) error {
	t.Helper()
	return stateWhen(t, l, func(s broker.State) bool {
		return s.Connected || s.Err != nil && !strings.Contains(s.Err.Error(), "no answer yet")
	}).Err
}

func TestTLSIsSpokenWithABrokerThatIsTrusted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	local := []net.IP{net.IPv4(127, 0, 0, 1)}
	good, goodCA := certified(t, &x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: local})
	old, oldCA := certified(t, &x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour), IPAddresses: local})
	other, otherCA := certified(t, &x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), DNSNames: []string{"elsewhere.example"}})
	passcode := filepath.Join(t.TempDir(), "passcode")
	if err := os.WriteFile(passcode, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		certificate *tls.Certificate // nil: no TLS
		ca          string
		plain       bool
		passcode    string
		want        exitcode.Failure
		text        string
	}{
		"trusted":               {&good, goodCA, false, passcode, exitcode.OK, ""},
		"unknown authority":     {&good, otherCA, false, passcode, exitcode.BadConfig, "unknown authority"},
		"unknown to the system": {&good, "", false, passcode, exitcode.BadConfig, "unknown authority"},
		"expired":               {&old, oldCA, false, passcode, exitcode.BadConfig, "expired"},
		"wrong name":            {&other, otherCA, false, passcode, exitcode.BadConfig, "127.0.0.1"},
		"no TLS there":          {nil, goodCA, false, passcode, exitcode.BadConfig, "TLS"},
		"TLS there, not here":   {&good, "", true, passcode, exitcode.NoBroker, "EOF"},
		"wrong passcode":        {&good, goodCA, false, "", exitcode.NoCredential, "passcode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := stompd.New(stompd.Config{Users: map[string]string{"panda": "s3cret"}})
			if err != nil {
				t.Fatal(err)
			}
			addr := listenTLS(t, b, c.certificate)
			l := linked(t, broker.Config{
				Addrs: []string{addr}, Login: "panda", Passcode: "wr0ng", PasscodeFile: c.passcode, TLS: !c.plain, CAFile: c.ca,
				Tuning: broker.Tuning{FirstWait: time.Hour, EarlyCap: time.Hour},
			})
			err = why(t, l)
			if got := exitcode.From(err); got != c.want || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Fatalf("got %s: %v", got.Name, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if c.want == exitcode.OK {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), testkit.Patience)
			}
			defer cancel()
			// Whoever gives up publishing hears the reason too.
			err = l.Publish(ctx, broker.Out{Destination: message.TopicSlices})
			if got := exitcode.From(err); got != c.want || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("publishing: got %s: %v", got.Name, err)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("the passcode is in %v", err)
			}
		})
	}
}

// listenTLS runs a broker behind TLS, or without when there is no certificate.
func listenTLS(t *testing.T, b *stompd.Broker, certificate *tls.Certificate) (addr string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	if certificate != nil {
		ln = tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}})
	}
	serve(t, b, ln)
	return addr
}

func TestWhatCannotBeUsedForTheBrokerIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		cfg  broker.Config
		want exitcode.Failure
		text string
	}{
		"no authorities":      {broker.Config{TLS: true, CAFile: filepath.Join(dir, "nix")}, exitcode.BadConfig, "nix"},
		"no certificate":      {broker.Config{TLS: true, CAFile: file("text", "s3cret", 0o600)}, exitcode.BadConfig, "no certificate"},
		"authorities alone":   {broker.Config{CAFile: filepath.Join(dir, "text")}, exitcode.BadConfig, "no TLS"},
		"a passcode alone":    {broker.Config{PasscodeFile: filepath.Join(dir, "text")}, exitcode.BadConfig, "no login"},
		"passcode for all":    {broker.Config{Login: "a", PasscodeFile: file("open", "s3cret", 0o644)}, exitcode.NoCredential, "chmod 600"},
		"passcode is missing": {broker.Config{Login: "a", PasscodeFile: filepath.Join(dir, "nix")}, exitcode.NoCredential, "nix"},
		"passcode is empty":   {broker.Config{Login: "a", PasscodeFile: file("empty", "\n", 0o600)}, exitcode.NoCredential, "is empty"},
	} {
		c.cfg.Addrs = []string{"127.0.0.1:1"}
		_, err := broker.New(c.cfg)
		if got := exitcode.From(err); got != c.want || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %s, %v", name, got.Name, err)
		}
	}
}
