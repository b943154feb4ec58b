package ask

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Tasks lists workflow tasks.
func Tasks() *cli.Command {
	return ask("tasks", "list the workflow tasks that the production system has asked for", program.NoArguments,
		"Each asks for workers for a run, as long as it is open; --output json has its changes too. Only with --demand-from workflow_task does a\n"+
			"service have any.\n\n"+
			"Examples:\n"+
			"  idds tasks --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds tasks --run 102023 --output json", []cli.Flag{&cli.StringFlag{Name: "run", Usage: "only of this run"}}, func(c *cli.Context, get getter) error {
			list, err := rest.Pages[document.Task](get, "/v1/tasks", url.Values{"run": {c.String("run")}}, 0)
			if err != nil {
				return err
			}
			t := program.Table{Header: []string{"RUN", "REQUEST", "TASK", "STATE", "WORKERS", "CORES", "SITE", "CHANGES", "CREATED", "BY"}}
			for _, d := range list.Items {
				t.Rows = append(t.Rows, []string{
					d.RunID, strconv.FormatInt(d.RequestID, 10), strconv.FormatInt(d.TransformID, 10), d.State, strconv.Itoa(d.Workers), strconv.Itoa(d.CoreCount),
					d.Site, strconv.Itoa(len(d.Changes)), d.CreatedAt.UTC().Format(time.RFC3339), fmt.Sprintf("%.40s", d.CreatedBy),
				})
			}
			return program.Print(c, list, t)
		})
}
