// Package iddscmd is the command line of idds.
package iddscmd

import (
	"github.com/urfave/cli/v2"

	"tfpilot/cmd/idds/iddscmd/ask"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "idds",
		Usage: "follow every slice to its final state, and say how many workers are wanted",
		Description: "Examples:\n" +
			"  idds serve --state idds-state --broker-addr 127.0.0.1:61613\n" +
			"  idds top --idds http://127.0.0.1:8443 --token-file viewer.token      the control room, in a terminal\n" +
			"  idds run check 100001      does the accounting add up, and where is every outstanding slice",
		// In the order in which they are needed: to run it, to look at runs, at workers, at programs, and to keep it.
		Commands: []*cli.Command{
			serveCommand(),
			doctorCommand(),
			ask.Health(),

			ask.Top(),
			ask.Runs(),
			ask.Run(),
			ask.Slices(),
			ask.Files(),
			ask.Histograms(),
			ask.Payloads(),

			ask.Workers(),
			ask.Explain(),
			simulateCommand(),
			ask.Tasks(),

			ask.Components(),
			ask.Logs(),
			ask.Messages(),

			tokenCommand(),
			ask.Audit(),
			backupCommand(),
			restoreCommand(),
			migrateCommand(),
		},
	}
}
