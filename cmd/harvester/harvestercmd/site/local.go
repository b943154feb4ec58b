package site

import (
	"log/slog"
	"os"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/local"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// localConfig is about pilots that are processes of this machine, which may be a login node.
type localConfig struct {
	Launcher []string      `toml:"launcher" help:"command that is put before the pilot's, such as nice, -n, 10; it has to exec it"`
	Grace    time.Duration `toml:"grace" default:"15s" help:"time between SIGTERM and SIGKILL of a pilot"`
}

func newLocal(cfg Config, _ *slog.Logger) (harvester.BatchSystem, error) {
	if cfg.Pilot.Ship {
		return nil, exitcode.New(exitcode.BadConfig, "pilot.ship: pilots of system local use their program in place; leave it out")
	}
	jobs, err := cfg.JobsFolder()
	if err != nil {
		return nil, err
	}
	c := local.Config{Dir: jobs, Grace: cfg.Local.Grace, Launcher: cfg.Local.Launcher}
	if line := program.Lifeline(); line != nil {
		c.Extra, c.ExtraEnv = []*os.File{line}, []string{program.LifelineEnv + "=3"}
	}
	return local.New(c)
}
