package pilotcmd

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
	"tfpilot/pilot/nodetest"
)

func checkCommand() *cli.Command {
	var cfg runConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "check", Usage: "test whether this node is fit, and what is around it",
		Description: "Takes the options of `pilot run`, takes no slice and changes nothing. It makes the tests that a pilot makes before its\n" +
			"first slice, and asks idds and the broker as it would. Run it on the node, as the user of the pilots.\n\n" +
			"Examples:\n" +
			"  pilot check --idds http://127.0.0.1:8443 --token-file pilot.token\n" +
			"  pilot check --broker-config broker.toml --node-test /etc/tfpilot/tests --node-need container\n" +
			"  pilot check --payload mine.toml    and whether the container starts that the payload runs in\n" +
			"  pilot check                        the node alone\n\n" +
			"Exit status: 0 when nothing is bad, else that of the first bad test: 35 for one of the node, 40 no broker, 41 no idds, 50 a\n" +
			"token or password; all in docs/exit-codes.md.",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error { return check(c, cfg) },
	}
}

// checkDocument is the report as JSON.
type checkDocument struct {
	OK       bool              `json:"ok"`
	Hostname string            `json:"hostname"`
	Tests    []fitness.Finding `json:"tests"`
}

func check(c *cli.Context, cfg runConfig) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	if cfg.IDDS != "" {
		if err := base.CheckBase("--idds", cfg.IDDS); err != nil {
			return err
		}
	}
	tests, err := newTests(cfg)
	if err != nil {
		return err
	}
	ctx := c.Context
	findings := tests.Check(ctx, newAround(cfg))
	ofPayload, err := checkPayload(ctx, cfg)
	if err != nil {
		return err
	}
	findings = append(findings, ofPayload...)
	if ctx.Err() != nil {
		return exitcode.New(exitcode.Interrupted, "ended by a signal: %w", context.Cause(ctx))
	}
	bad := nodetest.Err(findings)
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	t := program.Table{Header: []string{"TEST", "VERDICT", "FOUND"}}
	for _, f := range findings {
		t.Rows = append(t.Rows, []string{f.Test, string(f.Verdict), f.Found})
		if f.Next != "" && c.String("output") == "table" {
			t.Rows = append(t.Rows, []string{"", "", "  do: " + f.Next})
		}
	}
	if err := program.Print(c, checkDocument{OK: bad == nil, Hostname: host, Tests: findings}, t); err != nil {
		return err
	}
	return program.Quiet(bad)
}

// beginTests begins to test this node, before anything else is done; end ends what is still under way.
func beginTests(ctx context.Context, cfg runConfig) (tests *nodetest.Tests, end func(), err error) {
	if err := cfg.validate(); err != nil {
		return nil, nil, err
	}
	if tests, err = newTests(cfg); err != nil {
		return nil, nil, err
	}
	return tests, tests.Begin(ctx), nil
}

// newTests are the tests of this node.
func newTests(cfg runConfig) (*nodetest.Tests, error) {
	places := nodetest.Places{
		IDDS: cfg.IDDS, Env: []string{"TFPILOT_NAMESPACE=" + cfg.Pilot.Namespace},
	}
	for to, from := range map[*string]string{
		&places.WorkDir: cmp.Or(cfg.Work.WorkDir, os.TempDir()), &places.JournalDir: journalDir(cfg),
	} {
		abs, err := filepath.Abs(from)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		*to = abs
	}
	return nodetest.New(places, cfg.Node)
}

// newAround is what a pilot with this configuration would connect to.
func newAround(cfg runConfig) nodetest.Around {
	var brokers metainfo.PromptBroker
	a := nodetest.Around{}
	var token string
	if cfg.IDDS != "" {
		var err error
		if token, err = program.Token(cfg.Token, cfg.TokenFile); err != nil {
			err = base.TokenError(err, "pilot")
		}
		a.Token = token
		a.IDDS = func(ctx context.Context) error {
			if err != nil {
				return err
			}
			// Once: a person waits, and sees what it is.
			return base.New(base.Config{Base: cfg.IDDS, Token: token, Role: "pilot"}).Read(ctx, "/metainfo/prompt_broker", &brokers)
		}
	}
	if cfg.IDDS == "" && cfg.BrokerConfig == "" {
		return a
	}
	a.Broker = func(context.Context) (broker.Config, error) {
		if cfg.BrokerConfig != "" {
			var err error
			if brokers, err = readBrokerConfig(cfg.BrokerConfig); err != nil {
				return broker.Config{}, err
			}
		}
		if err := brokers.Validate(); err != nil {
			return broker.Config{}, exitcode.New(exitcode.BadConfig, "broker configuration from %s: %w", cfg.IDDS, err)
		}
		return linkConfig(cfg, brokers, nil)
	}
	return a
}
