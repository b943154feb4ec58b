package site

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/program"
)

// ConfigCommand shows the configuration as it is, wherever it comes from.
func ConfigCommand() *cli.Command {
	var cfg Config
	opts := Bind(&cfg)
	return &cli.Command{
		Name: "config", Usage: "the configuration of the site",
		Subcommands: []*cli.Command{{
			Name: "show", Usage: "print every option with its value and its origin",
			Description: "Examples:\n" +
				"  harvester config show --config site.toml\n" +
				"  harvester config show --config site.toml --output json",
			Flags: append(opts.Flags(), program.OutputFlag()), Before: opts.Before,
			Action: func(c *cli.Context) error {
				if c.String("output") != "quiet" {
					return opts.bind.Show(c.App.Writer, c.String("output"))
				}
				for _, o := range opts.bind.Options() {
					fmt.Fprintln(c.App.Writer, o.Key)
				}
				return nil
			},
		}},
	}
}
