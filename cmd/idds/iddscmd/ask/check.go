package ask

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

func checkCommand() *cli.Command {
	flags := []cli.Flag{&cli.DurationFlag{Name: "wait", Usage: "wait up to this long until the run is closed"}}
	return ask("check", "whether a run's accounting adds up, and where every outstanding slice is", "RUN",
		"Exit status: 0 when it adds up, 4 when it does not, or when the run is not closed after --wait.\n\n"+
			"Examples:\n"+
			"  idds run check --token-file viewer.token 100001             how it stands now\n"+
			"  idds run check --token-file viewer.token --wait 1m 100001   when it is closed", flags,
		func(c *cli.Context, get getter) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "run check needs one run number")
			}
			if d := c.Duration("wait"); d < 0 {
				return exitcode.New(exitcode.Usage, "--wait %s is negative", d)
			}
			check, err := awaitClosed(c, get)
			if err != nil {
				return err
			}
			if c.String("output") == "table" {
				s := check.Slices
				fmt.Fprintf(c.App.Writer, "run %s is %s: published %d = done %d + failed %d + outstanding %d\n",
					check.RunID, check.State, s.Published, s.Done, s.Failed, s.Outstanding)
				if len(check.Places) > 0 {
					fmt.Fprintln(c.App.Writer, "outstanding: "+places(check.Places))
				}
				if n := check.Unmerged; n > 0 {
					fmt.Fprintf(c.App.Writer, "histograms of %d results are not in the sum: they have another binning, or are too many\n", n)
				}
				if n := s.UnexplainedBefore; n > 0 {
					fmt.Fprintf(c.App.Writer, "%d results came twice before the first fault of the run was seen: unless that was their reason, they are a bug\n", n)
				}
				for _, p := range check.Problems {
					fmt.Fprintln(c.App.Writer, "problem: "+p)
				}
			}
			list := check.Outstanding
			if c.String("output") == "table" {
				list = list[:min(len(list), shown)]
			}
			t := sliceTable(list)
			if len(list) == 0 {
				t = program.Table{}
			}
			if err := program.Print(c, check, t); err != nil {
				return err
			}
			if more := check.Slices.Outstanding - len(list); more > 0 && c.String("output") == "table" {
				fmt.Fprintf(c.App.Writer, "... and %d more: `idds slices --run %s --limit 0 --state outstanding` (or waiting)\n", more, check.RunID)
			}
			if err := stillOpen(check, c.Duration("wait")); err != nil {
				return err
			}
			if !check.OK {
				return program.Quiet(exitcode.New(exitcode.CheckFailed, "the accounting does not add up"))
			}
			return nil
		})
}

// placeNames are the places of outstanding slices in words, in the order in which they are told.
var placeNames = []struct {
	place document.Place
	text  string
}{
	{document.PlaceQueue, "on the queue"},
	{document.PlaceHeld, "held by pilots"},
	{document.PlaceSilent, "held by pilots that fell silent"},
	{document.PlaceUnsent, "sent again and not confirmed"},
	{document.PlaceWaiting, "waiting for the next attempt"},
	{document.PlaceDeadLetter, "dead letters, to be sent again"},
}

func places(counted map[document.Place]int) string {
	var said []string
	for _, p := range placeNames {
		if n := counted[p.place]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, p.text))
		}
	}
	return strings.Join(said, ", ")
}

// shown is how many outstanding slices the table has.
const shown = 20

// stillOpen says of a run that was waited for and did not close what it lacks.
func stillOpen(check document.RunCheck, waited time.Duration) error {
	if waited == 0 || check.State == document.RunClosed {
		return nil
	}
	lacks := ""
	if check.EndedAt.IsZero() {
		lacks = ": no end_run was seen"
	}
	return exitcode.New(exitcode.CheckFailed, "run %s is still %s after %s%s", check.RunID, check.State, waited, lacks)
}

// awaitClosed asks until the run is closed or the time of --wait is over, and returns the last answer.
func awaitClosed(c *cli.Context, get getter) (check document.RunCheck, err error) {
	deadline := time.Now().Add(c.Duration("wait"))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := get("/v1/runs/"+url.PathEscape(c.Args().First())+"/check", &check)
		refused, ok := errors.AsType[*rest.StatusError](err)
		unknown := ok && refused.Code == http.StatusNotFound // its first slice may be on its way
		if (err != nil && !unknown) || check.State == document.RunClosed || !time.Now().Before(deadline) {
			return check, unknownRun(err, c.Args().First())
		}
		select {
		case <-tick.C:
		case <-c.Done():
			return check, exitcode.Wrap(exitcode.Interrupted, context.Cause(c.Context))
		}
	}
}
