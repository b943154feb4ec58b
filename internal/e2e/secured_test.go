package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/testbed"
)

// certificate makes a certificate for this machine, or for names, that is its own authority.
func certificate(tb testing.TB, dir string, from, to time.Time, names ...string) (certFile, keyFile string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if template.DNSNames = names; len(names) > 0 {
		template.IPAddresses = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(tb, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(tb, err)
	certFile, keyFile = filepath.Join(dir, "broker.pem"), filepath.Join(dir, "broker.key")
	must(tb, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(tb, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certFile, keyFile
}

// All programs speak TLS with the broker, with a passcode from a file that none of them shows; pilots are told by idds. The
// broker is killed in the middle of the run and started again on its state.
func TestTheChainRunsOverTLSAndOverAKillOfTheBroker(t *testing.T) {
	t.Parallel()
	const passcode, header = "s3cret-passcode", "s3cret-header"
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	certFile, keyFile := certificate(t, stack.Path(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	users, passcodeFile := stack.Path("users.toml"), stack.Path("passcode")
	must(t, os.WriteFile(users, []byte("panda = \""+passcode+"\"\n"), 0o600))
	must(t, os.WriteFile(passcodeFile, []byte(passcode+"\n"), 0o600))
	headers := stack.Path("headers")
	must(t, os.WriteFile(headers, []byte("Authorization: Bearer "+header+"\n"), 0o600))
	inner, err := testbed.JoinChain(stack, namespace, "")
	must(t, err)
	c := &chain{Chain: inner}
	start := func() {
		t.Helper()
		must(t, c.StartBroker(t.Context(), "--users", users, "--tls-cert", certFile, "--tls-key", keyFile, "--state", stack.Path("broker")))
	}
	start()
	c.link, err = broker.New(broker.Config{Addrs: []string{c.Broker}, Login: "panda", PasscodeFile: passcodeFile, TLS: true, CAFile: certFile})
	must(t, err)
	background(t, c.link.Run)
	must(t, c.StartIDDS(t.Context(), "--broker-login", "panda", "--broker-passcode-file", passcodeFile, "--broker-tls", "--broker-ca-file", certFile,
		"--otlp-endpoint", "http://127.0.0.1:1", "--otlp-headers-file", headers, "--log-level", "debug"))
	c.runImminent(t, 2)
	gate := filepath.Join(t.TempDir(), "gate")
	must(t, c.StartHarvester(t.Context(), "--log-level", "debug", "--pilot-payload", payloadFile(t, "until [ -e "+gate+" ]; do sleep 0.02; done; "+counts)))
	const n = 12
	for i := range n {
		c.publish(t, slice(i))
	}
	await(t, "a pilot that holds a slice", func() bool { held, _ := c.held(t); return held > 0 })
	must(t, c.Kill("broker"))
	start()
	must(t, os.WriteFile(gate, nil, 0o600))
	c.endRun(t, n)
	c.check(t, document.SliceCounts{Published: n, Done: n})
	key, err := os.ReadFile(keyFile)
	must(t, err)
	secrets := map[string]string{"the passcode": passcode, "the collector's header": header, "the key": strings.Split(string(key), "\n")[1]}
	stack.StopAll() // then all is written that ever will be
	must(t, filepath.WalkDir(stack.Path(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == users || path == passcodeFile || path == headers || path == keyFile {
			return err
		}
		text, err := os.ReadFile(path)
		for what, secret := range secrets {
			if err == nil && strings.Contains(string(text), secret) {
				t.Errorf("%s is in %s", what, path)
			}
		}
		return nil
	}))
}
