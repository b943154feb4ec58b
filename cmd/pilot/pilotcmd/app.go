// Package pilotcmd is the command line of pilot, and where its parts are put together.
package pilotcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
	"tfpilot/payload/kinds"
	"tfpilot/pilot"
	"tfpilot/pilot/nodetest"
	"tfpilot/pilot/rest"
	"tfpilot/pilot/slotinfo"
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
	NoShipLogs   bool   `toml:"no_ship_logs" help:"do not send the lines of the log to idds"`
	BrokerConfig string `toml:"broker_config" help:"TOML file with the broker configuration; otherwise idds is asked"`
	JournalDir   string `toml:"journal_dir" help:"folder of the journals of this node (default: tfpilot-journal-UID-NAMESPACE in the work directory)"`
	// Broker is how the broker is used; which one it is says the broker configuration.
	Broker broker.Tuning `toml:"broker"`
	Fsync  bool          `toml:"fsync" help:"write the journal through to the disk: survives the death of the node"`
	// Node is which tests of the node there are; what a pilot does about them is in Pilot.
	Node nodetest.Config `toml:"node"`

	Work wrapper.Config `toml:",inline"`

	Place slotinfo.Config `toml:",inline"`

	DrainFile string   `toml:"drain_file" help:"take no further slice once this file is there; its first line is the reason"`
	Warnings  []string `toml:"warning_signals" default:"USR1,USR2" help:"signals by which the batch system warns that the slot will end: the pilot takes no further slice and finishes what fits"`

	// maxGrace, when not 0, bounds the time between SIGTERM and SIGKILL of every payload.
	maxGrace time.Duration
}

// validate finds what makes no sense before anybody is asked.
func (c runConfig) validate() error {
	return errors.Join(c.Pilot.Validate(), c.Node.Validate())
}

// Main is the program: a pilot, a child of one that tests the node, or a production worker when it is called as one.
func Main() int {
	if nodetest.IsChild(os.Args) {
		return nodetest.Child(os.Args, os.Stdin, os.Stdout)
	}
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
			"  pilot check --idds ...             is this node fit for it?\n" +
			"  pilot config show --slots 4        every option with its value and where that came from\n" +
			"  pilot explain 35                   what an exit status means\n\n" +
			"Called as run_prompt or run_prompt_wrapper it takes the place of the production worker: docs/compatibility.md.",
		Commands: []*cli.Command{
			runCommand(), checkCommand(), slotCommand(), explainCommand(),
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
			"uncounted. SIGUSR1, SIGUSR2 and --drain-file do the same without a time: all is finished that fits before the slot's\n" +
			"end. No slice is begun that would not. `pilot slot` prints what is known of the slot.\n\n" +
			"At the end one line of JSON stands on stdout, the pilot's last words; on a terminal one for people. The log goes to stderr.\n\n" +
			"Examples:\n" +
			"  pilot run --idds http://127.0.0.1:8443 --token-file pilot.token --run 100001 --slots 4\n" +
			"  pilot run --broker-config broker.toml --payload mine.toml   without idds\n\n" +
			"Exit status: 0 when the run is over, 40 without a broker for --broker-timeout, 55 and 56 when no slice came, 57 at the end\n" +
			"of the slot's time, 58 to 61 when it was taken back or drained; all in docs/exit-codes.md.",
		Flags: append(bind.Flags(), program.LogFlags()...),
		OnUsageError: func(c *cli.Context, err error, sub bool) error {
			err = program.UsageError(c, err, sub)
			sayLast(c.App.Writer, stillborn(cfg), err)
			return err
		},
		Before: func(c *cli.Context) error {
			err := program.Options(bind)(c)
			if err != nil {
				sayLast(c.App.Writer, stillborn(cfg), err)
			}
			return err
		},
		Action: func(c *cli.Context) error {
			w, err := run(c, cfg)
			sayLast(c.App.Writer, w, err)
			return err
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
			if err := cfg.validate(); err != nil {
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

// journalDir is where the journals are.
func journalDir(cfg runConfig) string {
	return cmp.Or(cfg.JournalDir, defaultJournalDir(cmp.Or(cfg.Work.WorkDir, os.TempDir()), cfg.Pilot.Namespace))
}

// defaultJournalDir is one folder for each node, user and namespace, so that the next pilot finds it and nobody else is in its way.
func defaultJournalDir(base, namespace string) string {
	return filepath.Join(base, fmt.Sprintf("tfpilot-journal-%d-%s", os.Getuid(), payloadfile.Portable(cmp.Or(namespace, "none"))))
}

// formerJournalDirs are where pilots had their journals before those were of one user each.
func formerJournalDirs(cfg runConfig) []string {
	if cfg.JournalDir != "" {
		return nil
	}
	return []string{filepath.Join(cmp.Or(cfg.Work.WorkDir, os.TempDir()), "tfpilot-journal-"+cmp.Or(cfg.Pilot.Namespace, "none"))}
}

// newWrapper puts the payload together, and finds out how many of them fit into the slot where that is asked for.
func newWrapper(cfg *runConfig, slot *slotinfo.Slot, log *slog.Logger) (*wrapper.Wrapper, error) {
	spec, err := payloadfile.Load(cfg.Payload)
	if err != nil {
		return nil, err
	}
	if cfg.Pilot.Slots == pilot.AutoSlots {
		cfg.Pilot.Slots = pilot.Slots(slot.Fit(spec.Cores, int64(spec.MemoryMB)<<20))
	}
	if cfg.maxGrace > 0 {
		spec.Grace = min(spec.Grace, cfg.maxGrace)
	}
	p, err := kinds.New(spec, cfg.PayloadBin)
	if err != nil {
		return nil, err
	}
	simulated, err := kinds.Simulated()
	if err != nil {
		return nil, err
	}
	cfg.Work.Input.Logger = log
	return wrapper.New(spec, p, simulated, cfg.Work)
}

// newClient is the line to idds, nil when there is none. Its token is kept in the configuration of the slot, which ends with it.
func newClient(cfg *runConfig) (*rest.Client, error) {
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
	cfg.Place.Token = token
	return rest.New(cfg.IDDS, token), nil
}

// newTeller sends the lines of the log to idds, when there is one; the pilot's reports are its signs of life. The pilot has its name
// from here on.
func newTeller(cfg *runConfig, client *rest.Client) *base.Teller {
	cfg.Pilot.ID = stillborn(*cfg).PilotID
	if client == nil || cfg.NoShipLogs {
		return nil
	}
	return client.Teller(document.LogRecord{Component: cfg.Pilot.ID, Role: "pilot", Namespace: cfg.Pilot.Namespace})
}

// brokerConfig is the first that there is: the file, then idds.
func brokerConfig(ctx context.Context, cfg runConfig, client *rest.Client) (metainfo.PromptBroker, error) {
	switch {
	case cfg.BrokerConfig != "":
		return readBrokerConfig(cfg.BrokerConfig)
	case client != nil:
		return client.PromptBroker(ctx)
	default:
		return metainfo.PromptBroker{}, exitcode.New(exitcode.BadConfig, "no broker configuration: give --idds or --broker-config")
	}
}
