// Package harvestercmd is the command line of harvester, and where its parts are put together.
package harvestercmd

import (
	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "harvester",
		Usage: "keep the wanted number of pilots alive",
		Description: "Examples:\n" +
			"  harvester check --config site.toml     can pilots be submitted here? --test-job submits one\n" +
			"  harvester run --config site.toml       Slurm, HTCondor: docs/operations/harvester.md\n" +
			"  harvester status --config site.toml    and explain, workers, workers show ID\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token",
		Commands: []*cli.Command{
			runCommand(), submitCommand(), statusCommand(), workersCommand(), explainCommand(), drainCommand(), adoptCommand(), reapCommand(),
			checkCommand(), site.ConfigCommand(), site.ImportCommand(),
		},
	}
}
