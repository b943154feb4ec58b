package program

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
)

// ServerTLS is a server's side of TLS with the certificate of --tls-cert and the key of --tls-key; nil without either. When the files
// change, connections that come then get the new certificate; one that cannot be read or is not valid leaves the one that there is.
func ServerTLS(certFile, keyFile string) (*tls.Config, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil //nolint:nilnil // no TLS
	case certFile == "" || keyFile == "":
		return nil, exitcode.New(exitcode.Usage, "--tls-cert and --tls-key go together")
	}
	p := &pair{certFile: certFile, keyFile: keyFile}
	if err := p.load(p.stamp()); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate}, nil
}

// pair is a certificate with its key, as the files have it.
type pair struct {
	certFile, keyFile string

	mu    sync.Mutex
	at    [2]time.Time // when the files were written that it was read from, or could not be
	valid *tls.Certificate
}

// stamp is when the files were written.
func (p *pair) stamp() (at [2]time.Time) {
	for i, file := range []string{p.certFile, p.keyFile} {
		if info, err := os.Stat(file); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

func (p *pair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.stamp(); at != p.at {
		_ = p.load(at) // half of a new pair: the other half will come
	}
	return p.valid, nil
}

func (p *pair) load(at [2]time.Time) error {
	p.at = at
	certificate, err := os.ReadFile(p.certFile)
	if err != nil {
		return exitcode.New(exitcode.BadConfig, "reading --tls-cert: %w", err)
	}
	key, err := ReadPrivate(p.keyFile)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return exitcode.New(exitcode.BadConfig, "%s and %s: %w", p.certFile, p.keyFile, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return exitcode.New(exitcode.BadConfig, "%s: %w", p.certFile, err)
	}
	now := time.Now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return exitcode.WithNext(exitcode.New(exitcode.BadConfig, "the certificate %s is valid from %s to %s only", p.certFile,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339)), "no client would trust it: get a new one, or mend the clock")
	}
	p.valid = &pair
	return nil
}
