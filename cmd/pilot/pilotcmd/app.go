// Package pilotcmd is the command line of pilot, and where its parts are put together.
package pilotcmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
	"tfpilot/payload"
	"tfpilot/payload/synthetic"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
	"tfpilot/pilot/rest"
	"tfpilot/wrapper"
)

// runConfig is everything that `pilot run` can be told.
type runConfig struct {
	Pilot pilot.Config `toml:",inline"`

	Payload      string `toml:"payload" default:"tfreco" help:"tfreco, synthetic, or a payload's TOML file"`
	PayloadBin   string `toml:"payload_bin" help:"path of tfpilot-payload (default: beside this program)"`
	IDDS         string `toml:"idds" help:"address of idds, such as https://idds.example.org:8443"`
	Token        string `toml:"token" secret:"true" help:"bearer token of idds"`
	TokenFile    string `toml:"token_file" help:"file with the bearer token of idds"`
	BrokerConfig string `toml:"broker_config" help:"TOML file with the broker configuration; otherwise idds is asked"`
	JournalDir   string `toml:"journal_dir" help:"folder of the journals of this node (default: in the work directory)"`
	// Broker is how the broker is used; which one it is says the broker configuration.
	Broker broker.Tuning `toml:"broker"`
	Fsync  bool          `toml:"fsync" help:"write the journal through to the disk: survives the death of the node"`

	Work wrapper.Config `toml:",inline"`

	// maxGrace, when not 0, bounds the time between SIGTERM and SIGKILL of every payload.
	maxGrace time.Duration
}

// Main is the program: a pilot, or a production worker when it is called as one.
func Main() int {
	if isRunPrompt(os.Args[0]) {
		return program.UnderSignals(func(ctx context.Context) int {
			return RunPrompt(ctx, os.Args, os.Stdout, os.Stderr)
		})
	}
	return program.Main(App())
}

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "pilot",
		Usage: "hold a batch slot: take slices, run payloads, publish results",
		Description: "Examples:\n" +
			"  pilot run --idds http://127.0.0.1:8443 --token-file pilot.token --run 100001 --slots 4\n" +
			"  pilot run --idds ... --payload mine.toml\n" +
			"  pilot config show --slots 4        every option with its value and where that came from\n" +
			"  pilot explain 35                   what an exit status means\n\n" +
			"Called as run_prompt or run_prompt_wrapper it takes the place of the production worker: docs/compatibility.md.",
		Commands: []*cli.Command{
			runCommand(), explainCommand(),
			{Name: "config", Usage: "the configuration", Subcommands: []*cli.Command{showCommand()}},
		},
	}
}

func runCommand() *cli.Command {
	var cfg runConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "run", Usage: "take slices until the run ends",
		Description: "SIGTERM drains: no further slice is taken, what is in hand is finished within --drain-time or given back\n" +
			"uncounted.\n\n" +
			"Examples:\n" +
			"  pilot run --idds http://127.0.0.1:8443 --token-file pilot.token --run 100001 --slots 4\n" +
			"  pilot run --broker-config broker.toml --payload mine.toml   without idds\n\n" +
			"Exit status: 0 when the run is over, 40 without a broker for --broker-timeout, 55 and 56 when no slice came, 59 after a\n" +
			"signal; all in docs/exit-codes.md.",
		Flags:  append(bind.Flags(), program.LogFlags()...),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			return run(c, cfg)
		},
	}
}

func showCommand() *cli.Command {
	var cfg runConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "show", Usage: "print every option with its value and its origin",
		Description: "Examples:\n" +
			"  pilot config show --slots 4\n" +
			"  pilot config show --config pilot.toml --output json",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			if err := cfg.Pilot.Validate(); err != nil {
				return err
			}
			if c.String("output") != "quiet" {
				return bind.Show(c.App.Writer, c.String("output"))
			}
			for _, o := range bind.Options() {
				if _, err := fmt.Fprintln(c.App.Writer, o.Key); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// run is `pilot run`.
func run(c *cli.Context, cfg runConfig) error {
	log, err := program.Logger(c, "pilot")
	if err != nil {
		return err
	}
	if err := cfg.Pilot.Validate(); err != nil {
		return err
	}
	client, err := newClient(cfg)
	if err != nil {
		return err
	}
	// Before idds is asked: what is wrong here is wrong without it.
	work, err := newWrapper(cfg)
	if err != nil {
		return err
	}
	brokers, err := brokerConfig(c.Context, cfg, client)
	if err != nil {
		return err
	}
	var reporter pilot.Reporter
	if client != nil {
		reporter = client
	}
	return hold(c.Context, cfg, brokers, pilot.Parts{Runner: work, Reporter: reporter, Logger: log})
}

// hold adds link and journal to the parts of a pilot, and runs it until it leaves.
func hold(ctx context.Context, cfg runConfig, brokers message.PromptBroker, parts pilot.Parts) error {
	if os.Getenv("GOMAXPROCS") == "" {
		// A pilot mostly waits, and the cores are the payloads'. On one thread its own work costs a quarter less.
		runtime.GOMAXPROCS(1)
	}
	link, err := newLink(cfg, brokers, parts.Logger)
	if err != nil {
		return err
	}
	j, err := journal.Open(journalDir(cfg), cfg.Fsync, parts.Logger)
	if err != nil {
		return err
	}
	parts.Link, parts.Journal = link, j
	p, err := pilot.New(parts, pilot.Destinations{
		Slices: brokers.TransformerBroker.Destination, Broadcast: brokers.TransformerBroadcastBroker.Destination,
		Results: brokers.ResultBroker.Destination,
	}, cfg.Pilot)
	if err != nil {
		return err
	}
	// The link outlives the pilot, which gives back what it holds at its end.
	linkCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	linkDone := make(chan struct{})
	go func() { defer close(linkDone); _ = link.Run(linkCtx) }()
	err = p.Run(ctx)
	hangUp()
	<-linkDone
	if n := j.Held(); n > 0 && err == nil {
		err = exitcode.New(exitcode.ResultsHeld, "results that the broker did not take: %d; they are in the journal in %s", n, journalDir(cfg))
	}
	if cerr := j.Close(); err == nil && cerr != nil {
		err = exitcode.Wrap(exitcode.StoreFailed, cerr)
	}
	return err
}

// journalDir is one folder for each node and namespace, so that the next pilot finds it.
func journalDir(cfg runConfig) string {
	if cfg.JournalDir != "" {
		return cfg.JournalDir
	}
	return filepath.Join(cmp.Or(cfg.Work.WorkDir, os.TempDir()), "tfpilot-journal-"+cmp.Or(cfg.Pilot.Namespace, "none"))
}

// newWrapper puts the payload together.
func newWrapper(cfg runConfig) (*wrapper.Wrapper, error) {
	spec, err := payload.LoadSpec(cfg.Payload)
	if err != nil {
		return nil, err
	}
	if cfg.maxGrace > 0 {
		spec.Grace = min(spec.Grace, cfg.maxGrace)
	}
	builtin, err := payload.Builtin(cfg.PayloadBin)
	if err != nil {
		return nil, err
	}
	fake, err := payload.LoadSpec("synthetic")
	if err != nil {
		return nil, err
	}
	simulated, err := synthetic.New(fake, builtin)
	if err != nil {
		return nil, err
	}
	var p payload.Payload
	if spec.Kind == payload.KindSynthetic {
		p, err = synthetic.New(spec, builtin)
	} else {
		p, err = payload.NewCommand(spec, builtin)
	}
	if err != nil {
		return nil, err
	}
	return wrapper.New(spec, p, simulated, cfg.Work)
}

// newClient is the line to idds, nil when there is none.
func newClient(cfg runConfig) (*rest.Client, error) {
	if cfg.IDDS == "" {
		return nil, nil
	}
	if err := base.CheckBase("--idds", cfg.IDDS); err != nil {
		return nil, err
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return nil, base.TokenError(err, "pilot")
	}
	return rest.New(cfg.IDDS, token), nil
}

// brokerConfig is the first that there is: the file, then idds.
func brokerConfig(ctx context.Context, cfg runConfig, client *rest.Client) (message.PromptBroker, error) {
	switch {
	case cfg.BrokerConfig != "":
		return readBrokerConfig(cfg.BrokerConfig)
	case client != nil:
		return client.PromptBroker(ctx)
	default:
		return message.PromptBroker{}, exitcode.New(exitcode.BadConfig, "no broker configuration: give --idds or --broker-config")
	}
}
