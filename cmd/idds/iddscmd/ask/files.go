package ask

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Files lists STF files and their time-frame files.
func Files() *cli.Command {
	flags := []cli.Flag{&cli.StringFlag{Name: "stf", Usage: "the time-frame files of this STF file; of all of the run when it is \"all\""}}
	return ask("files", "list the files of a run, with what became of their slices", "RUN",
		"STF files are known from the messages of the data side and from slices. An STF of which only slices are known has no status.\n\n"+
			"Examples:\n"+
			"  idds files 100001 --token-file viewer.token\n"+
			"  idds files 100001 --stf swf.100001.000001.stf   its time-frame files\n"+
			"  idds files 100001 --output json", flags, func(c *cli.Context, get getter) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "files needs the number of one run: `idds runs` lists them")
			}
			run, stf := c.Args().First(), c.String("stf")
			if stf != "" {
				return tfFiles(c, get, run, stf)
			}
			page, err := rest.Pages[document.STFFile](get, "/v1/files", url.Values{"run": {run}, "limit": {"500"}}, 0)
			if err != nil {
				return err
			}
			if len(page.Items) == 0 {
				if err := get("/v1/runs/"+url.PathEscape(run), new(document.Run)); err != nil {
					return unknownRun(err, run)
				}
			}
			t := program.Table{Header: []string{"FILE", "STATUS", "DETECTOR", "TAKEN", "MB", "ADLER32", "FRAMES", "TF FILES", "SLICES", "DONE", "FAILED", "OUTSTANDING"}}
			for _, f := range page.Items {
				detector := f.State
				if f.Substate != "" {
					detector += "/" + f.Substate
				}
				t.Rows = append(t.Rows, []string{
					cell(f.Filename), f.Status, cell(detector), clock(f.STFCreatedAt), size(f.SizeBytes), cell(cmp.Or(f.Adler32, f.Checksum)), number(f.Frames),
					strconv.Itoa(f.TFFiles), strconv.Itoa(f.Slices), strconv.Itoa(f.Done), strconv.Itoa(f.Failed), strconv.Itoa(f.Outstanding),
				})
			}
			return program.Print(c, page, t)
		})
}

func tfFiles(c *cli.Context, get getter, run, stf string) error {
	q := url.Values{"run": {run}}
	if stf != "all" {
		q.Set("stf", stf)
	}
	page, err := rest.Pages[document.TFFile](get, "/v1/tf-files", q, 0)
	if err != nil {
		return err
	}
	t := program.Table{Header: []string{"FILE", "STF", "FRAMES", "COUNT", "STATUS", "REGISTERED", "BY"}}
	for _, f := range page.Items {
		frames := ""
		if f.First != nil && f.Last != nil {
			frames = fmt.Sprintf("%d-%d", *f.First, *f.Last)
		}
		t.Names = append(t.Names, f.Filename)
		t.Rows = append(t.Rows, []string{cell(f.Filename), cell(f.STF), frames, number(f.Count), cell(f.Status), clock(f.RegisteredAt), cell(f.RegisteredBy)})
	}
	return program.Print(c, page, t)
}

// clock is a time of day; nothing for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.TimeOnly)
}

// size is a size in megabytes; nothing for none.
func size(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64)
}

// number is a number; nothing for none.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
