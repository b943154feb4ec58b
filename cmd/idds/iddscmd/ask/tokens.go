package ask

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// defaultLife is how long a token lives for which nothing else is said.
const defaultLife = 90 * 24 * time.Hour

// Tokens are the commands that make, list and revoke tokens of a running service.
func Tokens() []*cli.Command {
	return []*cli.Command{createTokenCommand(), listTokensCommand(), revokeTokenCommand()}
}

func createTokenCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "role", Usage: "what it may do: pilot, harvester, operator, viewer"},
		&cli.StringFlag{Name: "namespace", Usage: "the only namespace that it sees; every one without it"},
		&cli.StringFlag{Name: "name", Usage: "what it is for, in words"},
		&cli.DurationFlag{Name: "expires", Value: defaultLife, DefaultText: "2160h, 90 days", Usage: "how long it lives, such as 720h; for ever with 0"},
	}
	return call("create", "make a token in a running service, and print it", program.NoArguments,
		"The token is printed this once; the service keeps its hash. Put it into a file that nobody else can read.\n\n"+
			"Examples:\n"+
			"  (umask 077; idds token create --token-file operator.token --role pilot --namespace epic --name \"farm at BNL\" > farm.token)\n"+
			"  (umask 077; idds token create --token-file operator.token --role viewer --name \"control room\" --expires 0 > room.token)",
		"operator", flags, func(c *cli.Context, client *rest.Client) error {
			role, life := access.Role(c.String("role")), c.Duration("expires")
			switch {
			case !role.Valid():
				return exitcode.New(exitcode.Usage, "--role %q is none of %v", role, access.Roles())
			case life < 0 || life > 0 && life < time.Second:
				return exitcode.New(exitcode.Usage, "--expires %s is no life of a second or more; 0 is for ever", life)
			}
			seconds := life.Seconds()
			var made document.NewToken
			if err := client.Post(c.Context, "/v1/tokens", document.TokenRequest{
				Name: cmp.Or(c.String("name"), string(role)), Role: string(role), Namespace: c.String("namespace"), Seconds: &seconds,
			}, &made); err != nil {
				return err
			}
			if c.String("output") != "table" {
				return program.Print(c, made, program.Table{})
			}
			fmt.Fprintf(c.App.ErrWriter, "token %s: role %s, %s, %s\n", made.ID, made.Role, namespaceText(made.Namespace), endText(made.Token))
			_, err := fmt.Fprintln(c.App.Writer, made.Secret)
			return err
		})
}

func namespaceText(namespace string) string {
	if namespace == "" {
		return "every namespace"
	}
	return "namespace " + namespace
}

func endText(t document.Token) string {
	if t.ExpiresAt.IsZero() {
		return "without an end"
	}
	return "until " + t.ExpiresAt.UTC().Format(time.DateTime)
}

func listTokensCommand() *cli.Command {
	return call("list", "list the tokens that were made", program.NoArguments,
		"Those of the state folder (tokens.toml) are not among them.\n\nExample: idds token list --token-file operator.token", "operator", nil,
		func(c *cli.Context, client *rest.Client) error {
			var page document.Page[document.Token]
			if err := client.Read(c.Context, "/v1/tokens", &page); err != nil {
				return err
			}
			t := program.Table{Header: []string{"ID", "STATE", "ROLE", "NAMESPACE", "MADE", "BY", "UNTIL", "FOR"}}
			for _, d := range page.Items {
				until := "-"
				if !d.ExpiresAt.IsZero() {
					until = d.ExpiresAt.UTC().Format(time.DateTime)
				}
				t.Rows = append(t.Rows, []string{
					d.ID, d.State, d.Role, cmp.Or(cell(d.Namespace), "-"), d.CreatedAt.UTC().Format(time.DateTime), cell(d.CreatedBy), until, cell(d.Name),
				})
			}
			return program.Print(c, page, t)
		})
}

func revokeTokenCommand() *cli.Command {
	return call("revoke", "end a token; the next request with it is refused", "ID",
		"`idds token list` has the ids.\n\nExample: idds token revoke --token-file operator.token h3kq7fz2ab", "operator", nil,
		func(c *cli.Context, client *rest.Client) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "token revoke needs one id; `idds token list` has them")
			}
			var ended document.Token
			if err := client.Delete(c.Context, "/v1/tokens/"+url.PathEscape(c.Args().First()), &ended); err != nil {
				return err
			}
			if c.String("output") != "table" {
				return program.Print(c, ended, program.Table{})
			}
			_, err := fmt.Fprintf(c.App.Writer, "token %s (%s) was revoked at %s\n", ended.ID, cell(ended.Name), ended.RevokedAt.UTC().Format(time.DateTime))
			return err
		})
}
