// Package iddscmd is the command line of idds.
package iddscmd

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "idds",
		Usage: "follow every slice to its final state, and say how many workers are wanted",
		Description: "Examples:\n" +
			"  idds serve --state idds-state --broker-addr 127.0.0.1:61613\n" +
			"  idds runs --idds http://127.0.0.1:8443 --token-file viewer.token\n" +
			"  idds run check 100001      does the accounting add up, and where is every outstanding slice",
		Commands: []*cli.Command{
			serveCommand(),
			doctorCommand(),
			tokenCommand(),
			auditCommand(),
			healthCommand(),
			topCommand(),
			runsCommand(),
			payloadsCommand(),
			tasksCommand(),
			slicesCommand(),
			workersCommand(),
			explainCommand(),
			simulateCommand(),
			histogramsCommand(),
			filesCommand(),
			componentsCommand(),
			logsCommand(),
			messagesCommand(),
			backupCommand(),
			restoreCommand(),
			migrateCommand(),
			{Name: "run", Usage: "one run", Subcommands: []*cli.Command{checkCommand()}},
		},
	}
}

// askConfig is how the asking commands reach the service.
type askConfig struct {
	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" help:"address of the service"`
	TokenFile string `toml:"token_file" help:"file with a token of role viewer or operator"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
}

// noArgs says of a command that it takes none; the library would make "[arguments...]" of an empty text.
const noArgs = " "

// ask makes a command that asks the service and prints.
func ask(name, usage, args, description string, flags []cli.Flag, action func(c *cli.Context, get getter) error) *cli.Command {
	return call(name, usage, args, description, "viewer", flags, func(c *cli.Context, client *rest.Client) error {
		return action(c, func(path string, into any) error { return client.Read(c.Context, path, into) })
	})
}

// call makes a command that speaks with the service with a token of a role.
func call(name, usage, args, description, role string, flags []cli.Flag, action func(c *cli.Context, client *rest.Client) error) *cli.Command {
	var cfg askConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: args, Description: description, Flags: append(append(bind.Flags(), program.OutputFlag()), flags...),
		Action: func(c *cli.Context) error {
			if args == noArgs {
				if err := program.NoArgs(c); err != nil {
					return err
				}
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			if err := rest.CheckBase("--idds", cfg.IDDS); err != nil {
				return err
			}
			token, err := program.Token(cfg.Token, cfg.TokenFile)
			if err != nil {
				return rest.TokenError(err, role)
			}
			return action(c, rest.New(rest.Config{Base: cfg.IDDS, Token: token, Role: role, Retries: 2}))
		},
	}
}

type getter func(path string, into any) error

func runsCommand() *cli.Command {
	return ask("runs", "list the runs with their accounting", noArgs,
		"Examples:\n"+
			"  idds runs --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds runs --output json", nil, func(c *cli.Context, get getter) error {
			page, err := rest.Pages[message.RunDocument](get, "/v1/runs", nil, 0)
			if err != nil {
				return err
			}
			t := program.Table{Header: []string{"RUN", "STATE", "PUBLISHED", "DONE", "FAILED", "OUTSTANDING", "RETRIED", "ABSORBED", "LATENCY p95"}}
			for _, r := range page.Items {
				s := r.Slices
				t.Rows = append(t.Rows, []string{
					r.RunID, string(r.State), strconv.Itoa(s.Published), strconv.Itoa(s.Done), strconv.Itoa(s.Failed), strconv.Itoa(s.Outstanding),
					strconv.Itoa(s.Retried), strconv.Itoa(s.Absorbed), fmt.Sprintf("%.2f s", r.Latency.SliceResult.P95),
				})
			}
			return program.Print(c, page, t)
		})
}
