package ask

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Audit lists who has changed what.
func Audit() *cli.Command {
	flags := []cli.Flag{&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many, the latest first"}}
	return call("audit", "list who has changed what, and from where", program.NoArguments,
		"Example: idds audit --token-file operator.token", "operator", flags,
		func(c *cli.Context, client *rest.Client) error {
			limit := c.Int("limit")
			if limit < 1 || limit > rest.PageSize {
				return exitcode.New(exitcode.Usage, "--limit %d is not from 1 to %d", limit, rest.PageSize)
			}
			var page document.Page[document.AuditLine]
			if err := client.Read(c.Context, fmt.Sprintf("/v1/audit?limit=%d", limit), &page); err != nil {
				return err
			}
			t := program.Table{Header: []string{"AT", "WHO", "FROM", "DID", "TO", "DETAILS"}}
			for _, l := range page.Items {
				t.Rows = append(t.Rows, []string{l.At.UTC().Format(time.DateTime), cell(l.Who), l.From, l.Did, l.To, cell(l.Details)})
			}
			return program.Print(c, page, t)
		})
}
