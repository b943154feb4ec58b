package harvestercmd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/harvester/lockfile"
	"tfpilot/harvester/rest"
	"tfpilot/harvester/sqlite"
	"tfpilot/harvester/textfile"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
)

// station is a harvester on its state folder, which is held for it.
type station struct {
	*harvester.Harvester

	cfg   siteConfig
	store *sqlite.Store
	batch harvester.BatchSystem
	hold  *lockfile.Hold
	// ctx ends when the folder is lost.
	ctx context.Context //nolint:containedctx // it is that of the hold
}

// open puts a harvester together. What cannot work is said before the state folder is touched.
func (cfg siteConfig) open(ctx context.Context, log *slog.Logger, demand harvester.Demand) (*station, error) {
	start, err := cfg.pilot()
	if err != nil {
		return nil, err
	}
	hold, held, err := lockfile.Acquire(ctx, cfg.State, lockfile.Config{})
	if err != nil {
		return nil, err
	}
	s := &station{cfg: cfg, hold: hold, ctx: held}
	if s.store, err = sqlite.Open(ctx, cfg.State); err != nil {
		hold.Release()
		return nil, err
	}
	store := harvester.Store(s.store)
	if s.cfg.Jobs, err = cfg.jobs(); err == nil {
		s.batch, err = cfg.batch(log)
	}
	if err == nil && cfg.MetricsFile != "" {
		store, err = textfile.Open(ctx, s.store, cfg.MetricsFile, cfg.Name, log)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.Harvester = harvester.New(harvester.Parts{
		Demand: demand, Batch: guard.New(s.batch, cfg.Guard), Store: store, Pilot: start, Logger: log,
	}, s.cfg.Config)
	return s, nil
}

func (s *station) close() {
	_ = s.store.Close() // all that was written is committed
	s.hold.Release()
}

// endPilots ends the pilots of a batch system that ends with us, and reports whether it did.
func (s *station) endPilots() bool {
	b, ok := s.batch.(interface{ Close() })
	if ok {
		b.Close()
	}
	return ok
}

// demand is who says how many pilots are wanted: --count, or idds.
func (cfg siteConfig) demand() (harvester.Demand, error) {
	if cfg.IDDS != "" {
		if err := base.CheckBase("--idds", cfg.IDDS); err != nil {
			return nil, err
		}
	}
	if cfg.Count > 0 {
		return harvester.Fixed(document.RunDemand{RunID: cfg.Run, Namespace: cfg.Namespace, Wanted: cfg.Count, Reason: "count is set"}), nil
	}
	if cfg.IDDS == "" {
		return nil, exitcode.New(exitcode.BadConfig, "nobody says how many pilots are wanted: give --idds or --count")
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return nil, base.TokenError(err, "harvester")
	}
	return rest.New(cfg.IDDS, token).For(cfg.Name, cfg.MaxWorkers), nil
}

// ledger opens the store of a site to read it, or to leave a document in it: the harvester may run or not.
func (cfg siteConfig) ledger(ctx context.Context) (*sqlite.Store, error) {
	if _, err := os.Stat(filepath.Join(cfg.State, "harvester.db")); err != nil {
		return nil, exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "no harvester has worked in %s: %w", cfg.State, err),
			"name the site's file by --config, or its state folder by --state; `harvester run` makes one")
	}
	return sqlite.Open(ctx, cfg.State)
}

// withLedger runs a command on the store.
func withLedger(c *cli.Context, cfg siteConfig, command func(store *sqlite.Store) error) error {
	store, err := cfg.ledger(c.Context)
	if err != nil {
		return err
	}
	return errors.Join(command(store), store.Close())
}
