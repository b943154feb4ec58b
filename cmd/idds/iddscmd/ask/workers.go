package ask

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Workers lists pilots, and shows one.
func Workers() *cli.Command {
	list := ask("workers", "list the pilots, or show one of them", program.NoArguments,
		"Examples:\n"+
			"  idds workers --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds workers --output quiet     their ids alone\n"+
			"  idds workers show PILOT         one of them: its slot, what it holds, its last words", nil, func(c *cli.Context, get getter) error {
			page, err := rest.Pages[document.Worker](get, "/v1/workers", nil, 0)
			if err != nil {
				return err
			}
			t := program.Table{Header: []string{"PILOT", "RUN", "HOST", "BATCH", "PHASE", "ALIVE", "SLOTS", "IN HAND", "DONE", "FAILED", "SLOT ENDS", "LAST SEEN", "HELD OR ENDED"}}
			for _, w := range page.Items {
				ends := ""
				if w.Slot != nil && !w.Slot.EndsAt.IsZero() {
					ends = w.Slot.EndsAt.Format(time.TimeOnly)
				}
				t.Rows = append(t.Rows, []string{
					w.PilotID, w.RunID, w.Hostname, batch(w), string(w.Phase), strconv.FormatBool(w.Alive), strconv.Itoa(w.Slots), strconv.Itoa(len(w.InHand)),
					strconv.Itoa(w.Totals.Done), strconv.Itoa(w.Totals.Failed), ends, w.LastSeen.Format(time.TimeOnly), lastWords(w),
				})
			}
			return program.Print(c, page, t)
		})
	list.Subcommands = []*cli.Command{showWorkerCommand()}
	return list
}

// batch is a worker's place in its batch system.
func batch(w document.Worker) string {
	return strings.TrimSpace(w.BatchSystem + " " + w.BatchID)
}

// lastWords is why a worker ended, or takes nothing for now.
func lastWords(w document.Worker) string {
	if w.Exit == nil {
		return cell(w.Hold)
	}
	return cell(w.Exit.Name + ": " + w.Exit.Cause)
}

func showWorkerCommand() *cli.Command {
	return ask("show", "show one pilot: its slot and where that is known from, what it holds, its last words", "PILOT",
		"PILOT is the id of the pilot, or that of the worker with the harvester.\n\n"+
			"Examples:\n"+
			"  idds workers show --token-file viewer.token pilot-node7-m4msp3ah\n"+
			"  idds workers show tfpilot-x1.3 --output json", nil, func(c *cli.Context, get getter) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "workers show needs one id: `idds workers` lists them")
			}
			var w document.Worker
			if err := get("/v1/workers/"+url.PathEscape(c.Args().First()), &w); err != nil {
				return err
			}
			t := program.Table{Header: []string{"WHAT", "VALUE", "SOURCE"}}
			add := func(what, value, source string) {
				if value != "" {
					t.Rows = append(t.Rows, []string{what, cell(value), cell(source)})
				}
			}
			add("pilot", w.PilotID, w.Version)
			add("worker", w.WorkerID, "the harvester")
			add("batch", batch(w), "")
			add("host", w.Hostname, fmt.Sprintf("process %d", w.PID))
			add("run", cmp.Or(w.RunID, "none yet"), "")
			add("phase", string(w.Phase), "")
			add("started", w.StartedAt.Format(time.RFC3339), "")
			add("last seen", w.LastSeen.Format(time.RFC3339), fmt.Sprintf("every %s", seconds(w.HeartbeatSeconds)))
			add("slots", strconv.Itoa(w.Slots), "")
			if w.Slot != nil {
				for _, f := range w.Slot.Facts {
					name := f.Name
					if !f.Counts {
						name += " (does not count)"
					}
					add(name, f.Value, f.Source)
				}
			}
			for _, in := range w.InHand {
				add("in hand", in.Identity, fmt.Sprintf("attempt %d, since %s", max(1, in.Attempt), in.Since.Format(time.TimeOnly)))
			}
			add("slices", fmt.Sprintf("%d done, %d failed, %d given back", w.Totals.Done, w.Totals.Failed, w.Totals.Released), "")
			add("payloads", fmt.Sprintf("%s of wall time, %s of CPU time", seconds(w.Totals.WallSeconds), seconds(w.Totals.CPUSeconds)), "")
			if w.Totals.Startups > 0 {
				add("payload starts", fmt.Sprintf("%d, in %s together", w.Totals.Startups, seconds(w.Totals.StartupSeconds)), "of payloads that stay; no other time counts it")
			}
			if w.Totals.PeakMemoryBytes > 0 {
				add("peak memory", fmt.Sprintf("%d MB", w.Totals.PeakMemoryBytes>>20), "the largest payload")
			}
			if w.Hold != "" {
				add("held", w.Hold, "")
			}
			if w.Exit != nil {
				add("exit", fmt.Sprintf("%d %s", w.Exit.Code, w.Exit.Name), w.Exit.Class)
				add("cause", w.Exit.Cause, "")
				add("lived for", seconds(w.Exit.WallSeconds), "")
				if w.Exit.Efficiency != nil {
					add("efficiency", fmt.Sprintf("%.0f %%", 100**w.Exit.Efficiency), "CPU time of payloads by cores and life")
				}
			}
			return program.Print(c, w, t)
		})
}

// seconds is a time for people.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
