package testbedcmd

import (
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/stompd"
)

// brokerConfig is everything that `testbed broker` can be told.
type brokerConfig struct {
	Listen      string `toml:"listen" default:"127.0.0.1:61613" help:"host:port to listen on"`
	AddressFile string `toml:"address_file" help:"write the host:port here once it listens"`
	// Bind replaces the production bindings.
	Bind []string `toml:"bind" help:"copies of a topic, as TOPIC=QUEUE,...; the production ones when empty"`

	stompd.Config
}

func brokerCommand() *cli.Command {
	var cfg brokerConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "broker",
		Usage: "run the embedded broker alone",
		Description: "A STOMP 1.2 broker with the production addresses, which behaves as Artemis does, or, with --mode classic, as\n" +
			"ActiveMQ Classic. It keeps messages in memory and lets everybody in: for one machine and for tests.\n\n" +
			"Examples:\n" +
			"  testbed broker --listen 127.0.0.1:61613\n" +
			"  testbed broker --mode classic\n" +
			"  testbed broker --bind /topic/panda.slices=/queue/panda.slices.transformer,/topic/panda.slices=/queue/mine",
		Flags: append(bind.Flags(), program.LogFlags()...),
		Action: func(c *cli.Context) error {
			if err := program.NoArgs(c); err != nil {
				return err
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			log, err := program.Logger(c, "broker")
			if err != nil {
				return err
			}
			cfg.Logger = log
			if cfg.FanOut, err = fanOut(cfg.Bind); err != nil {
				return err
			}
			if cfg.State != "" {
				unlock, err := program.LockFolder(cfg.State)
				if err != nil {
					return err
				}
				defer unlock()
			}
			b, err := stompd.New(cfg.Config)
			if err != nil {
				return err
			}
			ln, err := program.Listen(cfg.Listen, cfg.AddressFile)
			if err != nil {
				return err
			}
			return b.Serve(c.Context, ln)
		},
	}
}

// fanOut reads TOPIC=QUEUE pairs; nil stands for the production bindings.
func fanOut(pairs []string) (map[string][]string, error) {
	var out map[string][]string
	for _, pair := range pairs {
		topic, queue, ok := strings.Cut(pair, "=")
		if !ok || topic == "" || queue == "" {
			return nil, exitcode.New(exitcode.Usage, "--bind %q is not TOPIC=QUEUE", pair)
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[topic] = append(out[topic], queue)
	}
	return out, nil
}
