package ask

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Runs lists runs.
func Runs() *cli.Command {
	return ask("runs", "list the runs with their accounting", program.NoArguments,
		"Examples:\n"+
			"  idds runs --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds runs --output json", nil, func(c *cli.Context, get getter) error {
			page, err := rest.Pages[document.Run](get, "/v1/runs", nil, 0)
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

// Run checks the accounting of one run.
func Run() *cli.Command {
	return &cli.Command{Name: "run", Usage: "one run: check its accounting", Subcommands: []*cli.Command{checkCommand()}}
}
