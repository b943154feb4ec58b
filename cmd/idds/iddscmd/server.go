package iddscmd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tfpilot/internal/frontdoor"
	"tfpilot/internal/program"
)

const (
	// readyLimit is how long the address file waits for the broker.
	readyLimit = 5 * time.Second
	// writeLimit is how long an answer may take with the reading of it: who asks and does not read would keep a connection for good.
	writeLimit = time.Minute
)

// server serves a handler within bounds of time, size and connections.
func (cfg *serveConfig) server(ctx context.Context, handler http.Handler, secure *tls.Config, log *slog.Logger) *http.Server {
	srv := &http.Server{
		Handler: handler, TLSConfig: secure,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: writeLimit, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // of what strangers send there is no end
	}
	frontdoor.NewDoorman(cfg.connections(ctx, log)).Guard(srv)
	return srv
}

// sayListens logs where it listens, and that others can read along.
func sayListens(ctx context.Context, ln net.Listener, secure bool, log *slog.Logger) {
	log.InfoContext(ctx, "idds listens", slog.String("addr", ln.Addr().String()), slog.Bool("tls", secure))
	if host, _, err := net.SplitHostPort(ln.Addr().String()); !secure && (err != nil || !net.ParseIP(host).IsLoopback()) {
		log.WarnContext(ctx, "tokens and the broker's password travel in the clear: give it --tls-cert and --tls-key, or a TLS proxy before it")
	}
}

// answer serves with TLS where there is a certificate.
func answer(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// tellAddress writes the address file, and tells the service manager, when everything is ready. Whoever waits for that may start a run
// next: what it says of itself must not be missed.
func (cfg *serveConfig) tellAddress(ctx context.Context, ln net.Listener, manager program.Manager, log *slog.Logger, all ...<-chan struct{}) error {
	limit := time.After(readyLimit)
	for _, ready := range all {
		select {
		case <-ready:
			continue
		case <-limit:
			log.WarnContext(ctx, "no broker yet; serving all the same")
		case <-ctx.Done():
			return nil
		}
		break
	}
	manager.Ready()
	if cfg.AddressFile == "" {
		return nil
	}
	return program.WriteAddress(cfg.AddressFile, ln)
}
