package ask

import (
	"net/url"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Components lists programs.
func Components() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "role", Usage: "only of this role, such as pilot, harvester, idds, daq"},
		&cli.BoolFlag{Name: "alive", Usage: "only those that are alive"},
	}
	return ask("components", "list the programs that were seen in the last day, and whether they are alive", program.NoArguments,
		"idds with its parts, harvesters, daq and pilots say it themselves; agents of the production system by their heart-beats on the\n"+
			"broker. Of others that send messages no more is known than that (SEEN).\n\n"+
			"Examples:\n"+
			"  idds components --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds components --role harvester --output json", flags, func(c *cli.Context, get getter) error {
			q := url.Values{"role": {c.String("role")}}
			if c.Bool("alive") {
				q.Set("alive", "true")
			}
			page, err := rest.Pages[document.Component](get, "/v1/components", q, 0)
			if err != nil {
				return err
			}
			t := program.Table{Header: []string{"COMPONENT", "ROLE", "STATE", "STATUS", "ALIVE", "RUN", "HOST", "LAST SEEN", "WHAT IT SAYS"}}
			for _, d := range page.Items {
				alive := "yes"
				if !d.Alive {
					alive = "no"
				}
				t.Rows = append(t.Rows, []string{
					cell(d.Name), cell(d.Role), cell(d.State), cell(d.Status), alive, cell(d.RunID), cell(d.Hostname), d.LastSeen.Format(time.TimeOnly), cell(d.Details),
				})
			}
			return program.Print(c, page, t)
		})
}
