package iddscmd

import (
	"context"
	"log/slog"
	"syscall"
)

// otherFiles is how many files the service has open beside its connections: store, broker, log, and what they need for a moment.
const otherFiles = 100

// connections is how many may be open at once: what is configured, unless the system gives this process fewer files.
func (cfg *serveConfig) connections(ctx context.Context, log *slog.Logger) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return cfg.Connections
	}
	most := max(1, int(min(limit.Cur, 1<<30))-otherFiles) //nolint:gosec // bounded
	if most >= cfg.Connections {
		return cfg.Connections
	}
	log.WarnContext(ctx, "fewer files may be open than --max-connections needs; raise the limit (ulimit -n, LimitNOFILE)",
		slog.Uint64("files", limit.Cur), slog.Int("connections", most))
	return most
}
