package ask

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// states are those of slices.
var states = []string{"outstanding", "waiting", "done", "failed"}

// Slices lists slices, and shows one.
func Slices() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "only of this run"},
		&cli.StringFlag{Name: "state", Usage: "only in this state: " + strings.Join(states, ", ")},
		&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many; 0 for all"},
	}
	list := ask("slices", "list slices, or show one of them", program.NoArguments,
		"Examples:\n"+
			"  idds slices --run 100001 --state outstanding       what is not done, and where it is\n"+
			"  idds slices --run 100001 --limit 0 --output json   all of a run, for a program\n"+
			"  idds slices show SLICE                             one of them: its attempts, and why they ended as they did", flags, func(c *cli.Context, get getter) error {
			run, state, limit := c.String("run"), c.String("state"), c.Int("limit")
			if state != "" && !slices.Contains(states, state) {
				return exitcode.New(exitcode.Usage, "--state %q is none of %s", state, strings.Join(states, ", "))
			}
			if limit < 0 {
				return exitcode.New(exitcode.Usage, "--limit %d is negative; 0 is for all", limit)
			}
			page, err := rest.Pages[document.Slice](get, "/v1/slices", url.Values{"run": {run}, "state": {state}}, limit)
			if err != nil {
				return err
			}
			if run != "" && len(page.Items) == 0 { // none of that kind, or no such run?
				if err := get("/v1/runs/"+url.PathEscape(run), new(document.Run)); err != nil {
					return unknownRun(err, run)
				}
			}
			return program.Print(c, page, sliceTable(page.Items))
		})
	list.Subcommands = []*cli.Command{showSliceCommand()}
	return list
}

func sliceTable(list []document.Slice) program.Table {
	t := program.Table{Header: []string{"SLICE", "RUN", "FRAMES", "STATE", "ATTEMPT", "WHERE OR WHY"}}
	for _, s := range list {
		t.Names = append(t.Names, s.Identity)
		why := s.Where
		if s.Failure != nil {
			why = s.Failure.Name + ": " + s.Failure.Message
		}
		for _, a := range s.Overcome() {
			why = strings.TrimPrefix(why+"; ", "; ") + fmt.Sprintf("attempt %d failed: %s", a.Attempt, a.Why())
		}
		t.Rows = append(t.Rows, []string{cell(s.Identity), s.RunID, fmt.Sprintf("%d-%d", s.Start, s.End), s.State, strconv.Itoa(s.Attempt), cell(why)})
	}
	return t
}

// widest is how much of a text a table shows, in characters; JSON has all of it.
const widest = 160

// cell is a text as one cell of a table: on one line, without what a terminal would obey, and bounded.
func cell(text string) string {
	runes := []rune(program.Plain(text))
	if len(runes) > widest {
		runes = append(runes[:widest-3], []rune("...")...)
	}
	return string(runes)
}

// unknownRun says of a refusal that it means the run, when it does.
func unknownRun(err error, run string) error {
	if refused, ok := errors.AsType[*rest.StatusError](err); ok && refused.Code == http.StatusNotFound {
		return exitcode.WithNext(exitcode.New(exitcode.Usage, "no run %s", cell(run)), "`idds runs` lists those that there are")
	}
	return err
}
