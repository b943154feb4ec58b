package site

import (
	"log/slog"
	"maps"
	"slices"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/harvester/slurm"
)

// A batch system is wired in by three things: its table here, its line here, and a small file of its own with the function
// that makes it.

// tables are what is said of each batch system, each in a table of its name.
type tables struct {
	Local    localConfig     `toml:"local"`
	Slurm    slurm.Config    `toml:"slurm"`
	HTCondor htcondor.Config `toml:"htcondor"`
}

// systems makes a batch system from the configuration of its site.
var systems = map[string]func(cfg Config, log *slog.Logger) (harvester.BatchSystem, error){
	"local":    newLocal,
	"slurm":    newSlurm,
	"htcondor": newHTCondor,
}

func systemNames() []string { return slices.Sorted(maps.Keys(systems)) }
