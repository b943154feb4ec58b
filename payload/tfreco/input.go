package tfreco

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"tfpilot/internal/rangefile"
	"tfpilot/internal/stf"
)

// openInput opens a file by its path or its address. What is tried again is told on stderr, the payload's log.
func openInput(ctx context.Context, input string) (*stf.Reader, error) {
	if !strings.HasPrefix(input, "https://") && !strings.HasPrefix(input, "http://") {
		return stf.Open(input)
	}
	cfg := rangefile.Config{
		TokenFile: os.Getenv("BEARER_TOKEN_FILE"), CADir: os.Getenv("X509_CERT_DIR"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if u, err := url.Parse(input); err == nil && u.Scheme == "http" {
		cfg.HTTPHosts = []string{u.Host} // whoever gave us the address has allowed it
	}
	client, err := rangefile.New(cfg)
	if err != nil {
		return nil, err
	}
	f, err := client.Open(ctx, input)
	if err != nil {
		client.Close()
		return nil, err
	}
	return stf.OpenAt(f.Name(), &remote{f, client, cfg.Logger}, f.Size())
}

// remote is a file that says at its end what it took.
type remote struct {
	*rangefile.File
	client *rangefile.Client
	log    *slog.Logger
}

func (r *remote) Close() error {
	s := r.Stats()
	r.log.Info("input was read over the network", slog.String("file", r.Name()), slog.Int64("bytes", s.Bytes),
		slog.Int64("file_bytes", r.Size()), slog.Int64("requests", s.Requests), slog.Int64("retries", s.Retries))
	r.client.Close()
	return nil
}
