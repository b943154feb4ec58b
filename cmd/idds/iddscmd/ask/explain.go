package ask

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// Explain says why as many workers are wanted.
func Explain() *cli.Command {
	explain := ask("demand", "say why a run wants as many workers as it does", "RUN",
		"Without RUN all runs that want any are explained. With --output json the numbers that it rests on are there too.\n\n"+
			"Examples:\n"+
			"  idds explain demand --token-file viewer.token 100001\n"+
			"  idds explain demand --output json 100001",
		[]cli.Flag{&cli.StringFlag{Name: "namespace", Usage: "its namespace, when the run is not unique"}},
		func(c *cli.Context, get getter) error {
			if c.NArg() > 1 {
				return exitcode.New(exitcode.Usage, "explain demand takes one run: `idds runs` lists them")
			}
			var d document.Demand
			if err := get("/v1/demand", &d); err != nil {
				return err
			}
			run, namespace := c.Args().First(), c.String("namespace")
			chosen := slices.DeleteFunc(slices.Clone(d.Demands), func(r document.RunDemand) bool {
				return run == "" && r.Wanted == 0 || run != "" && r.RunID != run || namespace != "" && r.Namespace != namespace
			})
			switch {
			case run == "":
			case len(chosen) == 0:
				return exitcode.New(exitcode.Usage, "run %s is not known: `idds runs` lists them", run)
			case len(chosen) > 1:
				return exitcode.New(exitcode.Usage, "there is a run %s in more than one namespace: say which by --namespace", run)
			}
			if c.String("output") != "table" {
				return program.Print(c, document.Demand{At: d.At, Demands: chosen}, program.Table{Header: []string{"RUN"}, Rows: runColumn(chosen)})
			}
			if len(chosen) == 0 {
				fmt.Fprintln(c.App.Writer, "No run wants workers.")
			}
			for i := range chosen {
				fmt.Fprint(c.App.Writer, sentences(&chosen[i]))
			}
			return nil
		})
	return &cli.Command{Name: "explain", Usage: "say in sentences why something is as it is", Subcommands: []*cli.Command{explain}}
}

func runColumn(all []document.RunDemand) (rows [][]string) {
	for i := range all {
		rows = append(rows, []string{all[i].RunID})
	}
	return rows
}

// sentences are a demand for people: the number, the sites, the reasons.
func sentences(d *document.RunDemand) string {
	var b strings.Builder
	name := "Run " + cell(d.RunID)
	if d.RunID == "" {
		name = "Whichever run comes"
	}
	fmt.Fprintf(&b, "%s (%s, %s) wants %d.\n", name, cell(d.Namespace), d.State, d.Wanted)
	for _, reason := range d.Reasons {
		fmt.Fprintf(&b, "  %s\n", program.Plain(reason))
	}
	if d.Facts == nil {
		return b.String()
	}
	for _, w := range d.Facts.Workers {
		fmt.Fprintf(&b, "  Of %s: %d ready with %d slots, %d starting, %d leaving, %d silent.\n", cell(cmp.Or(w.Site, "no site")), w.Ready, w.Slots, w.Starting, w.Draining, w.Silent)
	}
	return b.String()
}
