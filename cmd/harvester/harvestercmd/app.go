// Package harvestercmd is the command line of harvester, and where its parts are put together.
package harvestercmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/harvester"
	"tfpilot/harvester/rest"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "harvester",
		Usage: "keep the wanted number of pilots alive",
		Description: "Examples:\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token\n" +
			"  harvester run --config site.toml  for Slurm, HTCondor: docs/operations.md\n" +
			"  harvester workers                 what was submitted and what became of it",
		Commands: []*cli.Command{runCommand(), workersCommand(), configCommand()},
	}
}

func runCommand() *cli.Command {
	var cfg siteConfig
	flags, before, _ := site(&cfg)
	return &cli.Command{
		Name: "run", Usage: "submit pilots as idds demands, until it is told to stop",
		Description: "Without a configuration pilots run as processes of this machine (system local). They end with the harvester when it is\n" +
			"stopped by SIGTERM or Ctrl-C; after a kill -9 they go on, and the next harvester on the same --state adopts them. Pilots in\n" +
			"a batch system go on in either case.\n\n" +
			"Examples:\n" +
			"  harvester run --config site.toml\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token\n" +
			"  harvester run --token-file harvester.token --pilot-token-file pilot.token --pilot-slots 4 --pilot-payload mine.toml",
		Flags:  append(flags, program.LogFlags()...),
		Before: before,
		Action: func(c *cli.Context) error {
			return run(c, cfg)
		},
	}
}

func run(c *cli.Context, cfg siteConfig) error {
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	if err := base.CheckBase("--idds", cfg.IDDS); err != nil {
		return err
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return base.TokenError(err, "harvester")
	}
	if err := cfg.checkPilotToken(); err != nil {
		return err
	}
	start, err := cfg.pilot()
	if err != nil {
		return err
	}
	unlock, err := program.LockFolder(cfg.State)
	if err != nil {
		return err
	}
	defer unlock()
	store, err := sqlite.Open(c.Context, cfg.State)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if cfg.Jobs, err = cfg.jobs(); err != nil {
		return err
	}
	batch, err := cfg.batch(log)
	if err != nil {
		return err
	}
	h := harvester.New(harvester.Parts{Demand: rest.New(cfg.IDDS, token), Batch: batch, Store: store, Pilot: start, Logger: log}, cfg.Config)
	err = h.Run(c.Context)
	if b, ok := batch.(interface{ Close() }); ok { // its pilots end with us
		b.Close()
	}
	return errors.Join(err, settle(c.Context, h))
}

// settleLimit bounds the last look at the workers.
const settleLimit = 5 * time.Second

// settle notes what the jobs ended with, for whoever asks later. The context has ended by then.
func settle(ctx context.Context, h *harvester.Harvester) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return h.Settle(last)
}

func workersCommand() *cli.Command {
	var cfg siteConfig
	flags, before, _ := site(&cfg, "state")
	return &cli.Command{
		Name: "workers", Usage: "list what was submitted, newest first",
		Description: "Examples:\n" +
			"  harvester workers --state harvester-state --limit 20\n" +
			"  harvester workers --output json",
		Flags:  append(flags, program.OutputFlag(), &cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many"}),
		Before: before,
		Action: func(c *cli.Context) error {
			if n := c.Int("limit"); n < 1 {
				return exitcode.New(exitcode.Usage, "--limit %d: must be at least 1", n)
			}
			if _, err := os.Stat(filepath.Join(cfg.State, "harvester.db")); err != nil {
				return exitcode.New(exitcode.StoreFailed, "no harvester has worked in %s: %w", cfg.State, err)
			}
			store, err := sqlite.Open(c.Context, cfg.State)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			list, err := store.Latest(c.Context, c.Int("limit"))
			if err != nil {
				return err
			}
			return program.Print(c, list, workerTable(list))
		},
	}
}

func workerTable(list []harvester.Worker) program.Table {
	t := program.Table{Header: []string{"WORKER", "BATCH ID", "RUN", "STATE", "STARTED", "LIVED", "EXIT", "REASON"}}
	for _, w := range list {
		started, lived, exit := "", "", ""
		if !w.StartedAt.IsZero() {
			started = w.StartedAt.Format(time.TimeOnly)
			end := w.EndedAt
			if end.IsZero() {
				end = time.Now()
			}
			lived = end.Sub(w.StartedAt).Round(time.Second).String()
		}
		if !w.State.Live() {
			exit = strconv.Itoa(w.ExitCode)
		}
		t.Rows = append(t.Rows, []string{w.ID, w.BatchID, w.RunID, string(w.State), started, lived, exit, w.Reason})
	}
	return t
}
