package site

import (
	"slices"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/program"
)

// Options are those of a command that works on a site; its configuration is there once they are loaded.
type Options struct {
	cfg  *Config
	bind *config.Binding
	only []string
}

// Bind makes options of a new configuration. Only those that are named become flags, all of them when none is named; environment
// and file know them all.
func Bind(cfg *Config, only ...string) *Options {
	return &Options{cfg: cfg, bind: config.Bind(cfg), only: only}
}

// Flags are the flags that the command has of its site.
func (o *Options) Flags() []cli.Flag {
	flags := o.bind.Flags()
	if len(o.only) == 0 {
		return flags
	}
	return slices.DeleteFunc(flags, func(f cli.Flag) bool {
		name := f.Names()[0]
		return name != "config" && !slices.Contains(o.only, name)
	})
}

// Before is for commands that take no arguments.
func (o *Options) Before(c *cli.Context) error {
	if err := program.NoArgs(c); err != nil {
		return err
	}
	return o.Load(c)
}

// Load reads the configuration, checks it, and fills in what depends on the batch system.
func (o *Options) Load(c *cli.Context) error {
	if err := o.bind.Load(c); err != nil {
		return err
	}
	return o.cfg.complete()
}
