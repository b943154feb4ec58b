package harvestercmd

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/harvester/explain"
	"tfpilot/harvester/lockfile"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
)

func workersCommand() *cli.Command {
	list := listCommand("workers")
	list.Usage = "what was submitted and what became of it"
	list.Subcommands = []*cli.Command{listCommand("list"), showWorkerCommand()}
	return list
}

func listCommand(name string) *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg, "state")
	return &cli.Command{
		Name: name, Usage: "list workers, newest first",
		Description: "They are as the last look of a harvester found them. Where none runs, --look asks the batch system once, now.\n\n" +
			"Examples:\n" +
			"  harvester workers --state harvester-state --limit 20\n" +
			"  harvester workers --config site.toml --look        after `harvester submit`, say\n" +
			"  harvester workers --live --output json\n" +
			"  harvester workers show tfpilot-k3j2x9-abcdefghij.0",
		Flags: append(append(opts.Flags(), program.LogFlags()...), program.OutputFlag(), &cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many"},
			&cli.BoolFlag{Name: "live", Usage: "only those that wait or run"},
			&cli.BoolFlag{Name: "look", Usage: "ask the batch system first; nothing is submitted or cancelled"}),
		// Not Before: it would be run before subcommands too.
		Action: func(c *cli.Context) error {
			if err := opts.Before(c); err != nil {
				return err
			}
			if n := c.Int("limit"); n < 1 {
				return exitcode.New(exitcode.Usage, "--limit %d: must be at least 1", n)
			}
			if c.Bool("look") {
				if err := look(c, cfg); err != nil {
					return err
				}
			}
			return withStore(c, cfg, func(store *sqlite.Store) error {
				var list []harvester.Worker
				var err error
				if c.Bool("live") {
					list, err = store.Live(c.Context)
				} else {
					list, err = store.Latest(c.Context, c.Int("limit"))
				}
				if err != nil {
					return err
				}
				return program.Print(c, list, workerTable(list))
			})
		},
	}
}

// look notes what became of the workers, as a harvester would. One that runs does that itself.
func look(c *cli.Context, cfg site.Config) error {
	if _, held, err := lockfile.Holder(cfg.State); err != nil || held {
		return err
	}
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	s, err := open(c.Context, cfg, log, harvester.Fixed{})
	if err != nil {
		return err
	}
	defer s.close()
	return s.Settle(s.ctx)
}

func workerTable(list []harvester.Worker) program.Table {
	t := program.Table{Header: []string{"WORKER", "BATCH ID", "RUN", "STATE", "NODE", "STARTED", "LIVED", "EXIT", "CAUSE", "REASON"}}
	for _, w := range list {
		started, lived, exit := "", "", ""
		if at := cmp.Or(w.RunningAt, w.StartedAt); !at.IsZero() {
			started, lived = at.Local().Format(time.DateTime), w.Lived(time.Now()).Round(time.Second).String()
		}
		switch {
		case w.State.Live():
		case w.Signal != 0:
			exit = "signal " + strconv.Itoa(w.Signal)
		case w.ExitCode >= 0: // else nobody knows
			exit = strconv.Itoa(w.ExitCode)
		}
		t.Rows = append(t.Rows, []string{w.ID, w.BatchID, w.RunID, string(w.State), w.Node, started, lived, exit, w.Cause, w.Reason})
	}
	return t
}

// find is one worker by its name, or that of its job.
func find(c *cli.Context, store *sqlite.Store, name string) (harvester.Worker, error) {
	list, err := store.Find(c.Context, name)
	if err != nil {
		return harvester.Worker{}, err
	}
	if len(list) == 0 {
		return harvester.Worker{}, exitcode.WithNext(exitcode.New(exitcode.Usage, "no worker %q, neither by its name nor by its batch id", name), "`harvester workers` lists them")
	}
	return list[0], nil
}

// workerDocument is `workers show` for programs.
type workerDocument struct {
	harvester.Worker

	Explanation []string `json:"explanation"`
	Log         string   `json:"log,omitempty"`
}

func showWorkerCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg, "state")
	return &cli.Command{
		Name: "show", Usage: "all about one worker, with the end of its log", ArgsUsage: "WORKER|BATCH-ID",
		Description: "Examples:\n" +
			"  harvester workers show tfpilot-k3j2x9-abcdefghij.0\n" +
			"  harvester workers show --tail 16384 4711_3",
		Flags: append(opts.Flags(), program.OutputFlag(), &cli.Int64Flag{Name: "tail", Value: 2048, Usage: "`BYTES` of its log at most"}),
		Action: func(c *cli.Context) error {
			name, err := oneWorker(c, opts)
			if err != nil {
				return err
			}
			if n := c.Int64("tail"); n < 0 {
				return exitcode.New(exitcode.Usage, "--tail %d: must not be negative", n)
			}
			return withStore(c, cfg, func(store *sqlite.Store) error {
				w, err := find(c, store, name)
				if err != nil {
					return err
				}
				jobs, err := cfg.JobsFolder()
				if err != nil {
					return err
				}
				log, err := harvester.LogTail(jobs, w.ID, c.Int64("tail"))
				switch {
				case err != nil && w.BatchID == "":
					log = "(there is none: it never ran)\n"
				case err != nil:
					log = "(" + err.Error() + ")\n"
				}
				log = logging.Redact(log)
				if err := program.Print(c, workerDocument{w, explain.Worker(w, time.Now()), log}, detailTable(w)); err != nil || c.String("output") != "table" {
					return err
				}
				said := fmt.Sprintf("\n%s\n\nThe end of its log:\n%s", strings.Join(explain.Worker(w, time.Now()), "\n"), log)
				_, err = io.WriteString(c.App.Writer, program.PrintableLines(said))
				return err
			})
		},
	}
}

// oneWorker is the argument of a command that takes the name of one worker.
func oneWorker(c *cli.Context, opts *site.Options) (string, error) {
	if c.NArg() != 1 {
		return "", exitcode.New(exitcode.Usage, "%s takes one worker, by its name or batch id; `harvester workers` lists them", c.Command.FullName())
	}
	return c.Args().First(), opts.Load(c)
}

func detailTable(w harvester.Worker) program.Table {
	var t program.Table
	row := func(name, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []string{name, value})
		}
	}
	at := func(name string, when time.Time) {
		if !when.IsZero() {
			row(name, when.Local().Format(time.DateTime))
		}
	}
	row("worker", w.ID)
	row("batch id", w.BatchID)
	row("run", strings.TrimSpace(w.RunID+" "+w.Namespace))
	row("state", string(w.State))
	row("batch system says", w.Native)
	row("node", w.Node)
	row("starts", strconv.Itoa(w.Starts))
	if !w.State.Live() && w.ExitCode >= 0 {
		row("exit code", strconv.Itoa(w.ExitCode))
	}
	row("cause", w.Cause)
	row("class", string(w.Class))
	at("intended", w.IntendedAt)
	at("submitted", w.SubmittedAt)
	at("seen running", w.RunningAt)
	at("in this state since", w.ChangedAt)
	at("started, as the batch system says", w.StartedAt)
	at("ended, as the batch system says", w.EndedAt)
	at("will end, as the batch system says", w.EndsAt)
	return t
}
