package ask

import (
	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// askConfig is how the asking commands reach the service.
type askConfig struct {
	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" help:"address of the service"`
	TokenFile string `toml:"token_file" help:"file with a token of role viewer or operator"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
}

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
			if args == program.NoArguments {
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
