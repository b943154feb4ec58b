package ask

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// Payloads shows what each version of a payload took.
func Payloads() *cli.Command {
	return ask("payloads", "what each version of a payload took in a run: which one is slow", "RUN",
		"Slices and seconds are of results that count, all from CPU on of those that were measured: not of payloads without a process, nor\n"+
			"of workers that do not tell. Median and p95 are within 3 %.\n\n"+
			"Examples:\n"+
			"  idds payloads --token-file viewer.token 100001\n"+
			"  idds payloads --output json 100001", nil, func(c *cli.Context, get getter) error {
			run := c.Args().First()
			if c.NArg() != 1 || run == "" {
				return exitcode.New(exitcode.Usage, "payloads needs one run number")
			}
			var page document.Page[document.Payload]
			if err := get("/v1/runs/"+url.PathEscape(run)+"/payloads", &page); err != nil {
				return unknownRun(err, run)
			}
			return program.Print(c, page, payloadTable(page.Items))
		})
}

func payloadTable(list []document.Payload) program.Table {
	t := program.Table{Header: []string{"PAYLOAD", "VERSION", "DONE", "FAILED", "MEDIAN", "P95", "CPU", "EFFICIENCY", "PEAK MEMORY", "READ", "WRITTEN"}}
	for _, p := range list {
		row := []string{cmp.Or(cell(p.Name), "-"), cmp.Or(cell(p.Version), "-"), strconv.Itoa(p.Done), strconv.Itoa(p.Failed), "-", "-", "-", "-", "-", "-", "-"}
		if p.Seconds.N > 0 {
			row[4], row[5] = fmt.Sprintf("%.3g s", p.Seconds.P50), fmt.Sprintf("%.3g s", p.Seconds.P95)
		}
		if p.Measured > 0 {
			row[6], row[8], row[9], row[10] = fmt.Sprintf("%.1f s", p.CPUSeconds), megabytes(p.PeakBytes), megabytes(p.ReadBytes), megabytes(p.WrittenBytes)
		}
		if p.CPUEfficiency != nil {
			row[7] = fmt.Sprintf("%.0f %%", 100**p.CPUEfficiency)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
