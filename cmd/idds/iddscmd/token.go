package iddscmd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/idds/iddscmd/ask"
	"tfpilot/internal/access"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// tokenConfig is where the tokens are.
type tokenConfig struct {
	State string `toml:"state" default:"idds-state" help:"state folder of idds serve"`
}

func tokenCommand() *cli.Command {
	var cfg tokenConfig
	bind := config.Bind(&cfg).Of(&serveConfig{})
	return &cli.Command{
		Name: "token", Usage: "print a token of the state folder, to be handed to a program in a file; or make, list and revoke others", ArgsUsage: "pilot|harvester|operator|viewer",
		Description: "The tokens of the state folder (tokens.toml) are one for each role, for every namespace and without an end. They are made when\n" +
			"they are first needed, by this command or by `idds serve`. With the one of an operator others are made, in a running service.\n\n" +
			"Examples:\n" +
			"  (umask 077; idds token --state idds-state pilot > pilot.token)\n" +
			"  (umask 077; idds token create --token-file operator.token --role pilot --namespace epic --name \"farm\" > farm.token)",
		Subcommands: ask.Tokens(),
		Flags:       bind.Flags(),
		Action: func(c *cli.Context) error {
			if err := bind.Load(c); err != nil {
				return err
			}
			role := access.Role(c.Args().First())
			if c.NArg() != 1 || !role.Valid() {
				return exitcode.New(exitcode.Usage, "token needs one of %v, or create, list or revoke", access.Roles())
			}
			if err := os.MkdirAll(cfg.State, 0o700); err != nil {
				return exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
			}
			tokens, err := loadTokens(filepath.Join(cfg.State, "tokens.toml"))
			if err != nil {
				return err
			}
			for token, r := range tokens {
				if r == role {
					_, err := fmt.Fprintln(c.App.Writer, token)
					return err
				}
			}
			return exitcode.New(exitcode.NoCredential, "%s has no token of role %s", filepath.Join(cfg.State, "tokens.toml"), role)
		},
	}
}
