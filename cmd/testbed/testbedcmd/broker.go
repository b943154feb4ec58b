package testbedcmd

import (
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

	stompd.Config
}

func brokerCommand() *cli.Command {
	var cfg brokerConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "broker",
		Usage: "run the embedded broker alone",
		Description: "A STOMP 1.2 broker with the production addresses, which behaves as Artemis does. It keeps messages in memory and\n" +
			"lets everybody in: for one machine and for tests.\n\n" +
			"Example: testbed broker --listen 127.0.0.1:61613",
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
			b, err := stompd.New(cfg.Config)
			if err != nil {
				return exitcode.Wrap(exitcode.BadConfig, err)
			}
			ln, err := program.Listen(cfg.Listen, cfg.AddressFile)
			if err != nil {
				return err
			}
			return b.Serve(c.Context, ln)
		},
	}
}
