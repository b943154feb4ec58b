package site

import (
	"log/slog"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
)

func newSlurm(cfg Config, _ *slog.Logger) (harvester.BatchSystem, error) {
	jobs, err := cfg.JobsFolder()
	if err != nil {
		return nil, err
	}
	c := cfg.Slurm
	c.Jobs, c.Resources = jobs, cfg.Resources
	return slurm.New(c)
}
