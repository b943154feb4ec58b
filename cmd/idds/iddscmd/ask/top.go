package ask

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/urfave/cli/v2"

	"tfpilot/idds/top"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Top is the control room in a terminal.
func Top() *cli.Command {
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "once", Usage: "show how it stands, and end"},
		&cli.StringFlag{Name: "namespace", Usage: "of this namespace (default: that of the token, or of the service)"},
	}
	return call("top", "the control room in a terminal, live: runs, failures, workers", program.NoArguments,
		"On a terminal it fills the screen: arrows choose a run, f shows failures, w workers, ? help, q ends it. Elsewhere it writes a line\n"+
			"when something has changed, or with --output json each board as a line of JSON.\n\n"+
			"Examples:\n"+
			"  idds top --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds top --once\n"+
			"  idds top --output json | jq '.runs[0].slices'", "viewer", flags, func(c *cli.Context, client *rest.Client) error {
			idds := service{client, c.String("namespace")}
			format := c.String("output")
			if c.Bool("once") {
				return once(c, idds)
			}
			if format == "quiet" {
				return exitcode.New(exitcode.Usage, "--output quiet has nothing to say of what changes; table or json")
			}
			out, file := c.App.Writer.(*os.File)
			return top.Run(c.Context, idds, top.Config{
				In: os.Stdin, Out: c.App.Writer, Screen: file && isatty.IsTerminal(out.Fd()) && os.Getenv("TERM") != "dumb" && format == "table", JSON: format == "json",
				Colours: os.Getenv("NO_COLOR") == "", ASCII: !unicode(),
			})
		})
}

// unicode reports whether the locale's characters are those of Unicode; where none is set they mostly are.
func unicode() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return locale == "" || strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// once shows a board.
func once(c *cli.Context, idds service) error {
	var b document.Board
	if err := idds.client.Read(c.Context, "/v1/board"+idds.query(nil), &b); err != nil {
		return err
	}
	if c.String("output") == "table" {
		fmt.Fprintln(c.App.Writer, top.Text(&b, terminalWidth(), !unicode()))
		return nil
	}
	t := program.Table{}
	for i := range b.Runs {
		t.Names = append(t.Names, b.Runs[i].RunID)
	}
	return program.Print(c, b, t)
}

// service is idds as top sees it.
type service struct {
	client    *rest.Client
	namespace string
}

// query is about the namespace.
func (s service) query(q url.Values) string {
	if q == nil {
		q = url.Values{}
	}
	if s.namespace != "" {
		q.Set("namespace", s.namespace)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Follow follows the namespace.
func (s service) Follow(ctx context.Context, seen string, each func(document.Event) error) error {
	return s.client.Follow(ctx, "/v1/events"+s.query(nil), seen, each)
}

// Workers are those that live, as many as anybody looks at.
func (s service) Workers(ctx context.Context) ([]document.Worker, error) {
	var page document.Page[document.Worker]
	err := s.client.Read(ctx, "/v1/workers"+s.query(url.Values{"alive": {"true"}, "limit": {"500"}}), &page)
	return page.Items, err
}
