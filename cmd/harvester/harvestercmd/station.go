package harvestercmd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/harvester/lockfile"
	"tfpilot/harvester/sqlite"
	"tfpilot/harvester/textfile"
	"tfpilot/internal/exitcode"
)

// station is a harvester on its state folder, which is held for it.
type station struct {
	*harvester.Harvester

	cfg   site.Config
	store *sqlite.Store
	batch harvester.BatchSystem
	hold  *lockfile.Hold
	// ctx ends when the folder is lost.
	ctx context.Context //nolint:containedctx // it is that of the hold
}

// open puts a harvester together. What cannot work is said before the state folder is touched.
func open(ctx context.Context, cfg site.Config, log *slog.Logger, demand harvester.Demand) (*station, error) {
	start, err := cfg.Submissions()
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
	if s.cfg.Jobs, err = cfg.JobsFolder(); err == nil {
		s.batch, err = cfg.Batch(log)
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

// withStore runs a command that reads the store of a site, or leaves a document in it: the harvester may run or not.
func withStore(c *cli.Context, cfg site.Config, command func(store *sqlite.Store) error) error {
	if _, err := os.Stat(filepath.Join(cfg.State, "harvester.db")); err != nil {
		return exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "no harvester has worked in %s: %w", cfg.State, err),
			"name the site's file by --config, or its state folder by --state; `harvester run` makes one")
	}
	store, err := sqlite.Open(c.Context, cfg.State)
	if err != nil {
		return err
	}
	return errors.Join(command(store), store.Close())
}
