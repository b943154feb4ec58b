package harvestercmd

import (
	"log/slog"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
)

func newSlurm(cfg siteConfig, _ *slog.Logger) (harvester.BatchSystem, error) {
	jobs, err := cfg.jobs()
	if err != nil {
		return nil, err
	}
	c := cfg.Slurm
	c.Jobs, c.Resources = jobs, cfg.Resources
	return slurm.New(c)
}
