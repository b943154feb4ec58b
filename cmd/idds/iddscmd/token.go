package iddscmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"tfpilot/idds/api"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// tokenConfig is where the tokens are.
type tokenConfig struct {
	State string `toml:"state" default:"idds-state" help:"state folder of idds serve"`
}

func tokenCommand() *cli.Command {
	var cfg tokenConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "token", Usage: "print a token of a role, to be handed to a program in a file", ArgsUsage: "pilot|harvester|operator|viewer",
		Description: "Tokens are made when they are first needed, by this command or by `idds serve`.\n\n" +
			"Example: (umask 077; idds token --state idds-state pilot > pilot.token)",
		Flags: bind.Flags(),
		Action: func(c *cli.Context) error {
			if err := bind.Load(c); err != nil {
				return err
			}
			role := api.Role(c.Args().First())
			roles := []api.Role{api.RolePilot, api.RoleHarvester, api.RoleOperator, api.RoleViewer}
			if c.NArg() != 1 || !slices.Contains(roles, role) {
				return exitcode.New(exitcode.Usage, "token needs one of %v", roles)
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
