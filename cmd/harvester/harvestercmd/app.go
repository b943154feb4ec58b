// Package harvestercmd is the command line of harvester, and where its parts are put together.
package harvestercmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/harvester"
	"tfpilot/harvester/local"
	"tfpilot/harvester/rest"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
)

// runConfig is everything that `harvester run` can be told.
type runConfig struct {
	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" help:"address of idds"`
	TokenFile string `toml:"token_file" help:"file with the token of role harvester"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
	State     string `toml:"state" default:"harvester-state" help:"folder of the store and the jobs"`

	Pilot pilotConfig `toml:"pilot"`

	harvester.Config
}

// pilotConfig is how pilots are started.
type pilotConfig struct {
	Path      string   `toml:"path" help:"the pilot program (default: beside this one)"`
	TokenFile string   `toml:"token_file" help:"file with the token of role pilot, handed on by its name"`
	Slots     int      `toml:"slots" default:"1" help:"payloads at once in each pilot"`
	Payload   string   `toml:"payload" default:"tfreco" help:"tfreco, synthetic, or a payload's TOML file"`
	Args      []string `toml:"args" help:"further arguments of pilot run"`
}

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "harvester",
		Usage: "keep the wanted number of pilots alive",
		Description: "Examples:\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token\n" +
			"  harvester workers                 what was submitted and what became of it\n" +
			"  harvester workers --output json",
		Commands: []*cli.Command{runCommand(), workersCommand()},
	}
}

func runCommand() *cli.Command {
	var cfg runConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "run", Usage: "submit pilots as idds demands, until it is told to stop",
		Description: "Pilots run as processes of this machine (batch system local). They end with the harvester when it is stopped by\n" +
			"SIGTERM or Ctrl-C; after a kill -9 they go on, and the next harvester on the same --state adopts them.\n\n" +
			"Examples:\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token\n" +
			"  harvester run --token-file harvester.token --pilot-token-file pilot.token --pilot-slots 4 --pilot-payload mine.toml",
		Flags:  append(bind.Flags(), program.LogFlags()...),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			return run(c, cfg)
		},
	}
}

func run(c *cli.Context, cfg runConfig) error {
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
	if _, err := program.Token("", cfg.Pilot.TokenFile); err != nil { // sooner here than by every pilot
		return exitcode.WithNext(fmt.Errorf("--pilot-token-file: %w", err), "on the machine of idds, `(umask 077; idds token --state STATE pilot > FILE)` writes one")
	}
	start, err := pilotCommand(cfg)
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
	var extra []*os.File
	if line := program.Lifeline(); line != nil {
		extra = append(extra, line)
	}
	batch, err := local.New(local.Config{Dir: filepath.Join(cfg.State, "jobs"), Extra: extra})
	if err != nil {
		return err
	}
	cfg.Jobs = filepath.Join(cfg.State, "jobs")
	h := harvester.New(rest.New(cfg.IDDS, token), batch, store, start, log, cfg.Config)
	err = h.Run(c.Context)
	batch.Close()
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

// pilotCommand is how a pilot is started. Its token travels in a file, never in its arguments.
func pilotCommand(cfg runConfig) (harvester.Pilot, error) {
	path, err := program.Beside(cfg.Pilot.Path, "pilot")
	if err != nil {
		return nil, err
	}
	args := []string{"run", "--idds", cfg.IDDS, "--slots", strconv.Itoa(cfg.Pilot.Slots)}
	for flag, file := range map[string]string{"--token-file": cfg.Pilot.TokenFile, "--journal-dir": filepath.Join(cfg.State, "journal")} {
		if file == "" {
			continue
		}
		abs, err := filepath.Abs(file) // a pilot works in a folder of its own
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		args = append(args, flag, abs)
	}
	payload := cfg.Pilot.Payload
	if _, err := os.Stat(payload); err == nil {
		if payload, err = filepath.Abs(payload); err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
	}
	args = append(append(args, "--payload", payload), cfg.Pilot.Args...)
	env := pilotEnvironment()
	return func(run, namespace string) (string, []string, []string) {
		return path, append(append([]string{}, args...), "--run", run, "--namespace", namespace), env
	}, nil
}

// pilotEnvironment is what a pilot gets of ours: enough to find tools and a temporary folder, no option that was meant for us.
func pilotEnvironment() []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "TFPILOT_PAYLOAD_BIN"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	if program.Lifeline() != nil {
		env = append(env, program.LifelineEnv+"=3")
	}
	return env
}

// workersConfig is where the store is.
type workersConfig struct {
	State string `toml:"state" default:"harvester-state" help:"folder of the store"`
}

func workersCommand() *cli.Command {
	var cfg workersConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "workers", Usage: "list what was submitted, newest first",
		Description: "Examples:\n" +
			"  harvester workers --state harvester-state --limit 20\n" +
			"  harvester workers --output json",
		Flags:  append(bind.Flags(), program.OutputFlag(), &cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many"}),
		Before: program.Options(bind),
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
