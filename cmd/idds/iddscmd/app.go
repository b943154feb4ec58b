// Package iddscmd is the command line of idds.
package iddscmd

import "github.com/urfave/cli/v2"

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
			healthCommand(),

			topCommand(),
			runsCommand(),
			runCommand(),
			slicesCommand(),
			filesCommand(),
			histogramsCommand(),
			payloadsCommand(),

			workersCommand(),
			explainCommand(),
			simulateCommand(),
			tasksCommand(),

			componentsCommand(),
			logsCommand(),
			messagesCommand(),

			tokenCommand(),
			auditCommand(),
			backupCommand(),
			restoreCommand(),
			migrateCommand(),
		},
	}
}
