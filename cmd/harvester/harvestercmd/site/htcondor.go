package site

import (
	"log/slog"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
)

func newHTCondor(cfg Config, _ *slog.Logger) (harvester.BatchSystem, error) {
	jobs, err := cfg.JobsFolder()
	if err != nil {
		return nil, err
	}
	c := cfg.HTCondor
	c.Jobs, c.Resources = jobs, cfg.Resources
	return htcondor.New(c)
}
