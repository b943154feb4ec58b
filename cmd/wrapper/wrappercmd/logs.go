package wrappercmd

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/program"
	"tfpilot/wrapper/report"
)

func logsCommand() *cli.Command {
	return &cli.Command{
		Name: "logs", Usage: "list what payloads printed, or show it", ArgsUsage: "[TEXT]",
		Description: "Without TEXT the logs in the folder, the oldest first; with it, what those say whose name has TEXT in it: a run, a slice,\n" +
			"a stream. `zstd -dc FILE` shows one as it is.\n\n" +
			"Examples:\n" +
			"  wrapper logs\n" +
			"  wrapper logs 2837c040                    all of the slice whose identity begins so\n" +
			"  wrapper logs --log-dir /scratch/logs err  what was printed to stderr",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "log-dir", EnvVars: []string{"TFPILOT_LOG_DIR"}, Usage: "folder of the logs (default: tfpilot-logs-UID in the work directory)"},
			&cli.StringFlag{Name: "work-dir", EnvVars: []string{"TFPILOT_WORK_DIR"}, Usage: "work directory of the pilot (default: the temporary folder)"},
			program.OutputFlag(),
		},
		Action: func(c *cli.Context) error {
			dir := c.String("log-dir")
			if dir == "" {
				dir = payloadlog.DefaultDir(c.String("work-dir"))
			}
			if c.Args().Len() > 1 {
				return exitcode.New(exitcode.Usage, "wrapper logs takes one text, %q is too much", c.Args().Get(1))
			}
			logs, err := payloadlog.List(dir)
			if err != nil {
				return err
			}
			if text := c.Args().First(); text != "" {
				return showLogs(c, dir, logs, text)
			}
			return listLogs(c, dir, logs)
		},
	}
}

func listLogs(c *cli.Context, dir string, logs []payloadlog.Log) error {
	table := program.Table{Header: []string{"FILE", "RUN", "SLICE", "ATTEMPT", "SLOT", "STREAM", "BYTES", "AT"}}
	for _, l := range logs {
		at := l.At.Format("2006-01-02 15:04:05")
		if !l.Complete {
			at += " (not complete)"
		}
		table.Rows = append(table.Rows, []string{
			filepath.Base(l.Path), l.Run, l.Slice, strconv.Itoa(l.Attempt), strconv.Itoa(l.Slot), l.Stream, strconv.FormatInt(l.SizeBytes, 10), at,
		})
	}
	if len(logs) == 0 && c.String("output") == "table" {
		fmt.Fprintf(c.App.ErrWriter, "no logs in %s\n", dir)
	}
	if logs == nil {
		logs = []payloadlog.Log{}
	}
	return program.Print(c, logs, table)
}

// showLogs shows those whose name has the text in it.
func showLogs(c *cli.Context, dir string, logs []payloadlog.Log, text string) error {
	found := false
	for _, l := range logs {
		if !strings.Contains(filepath.Base(l.Path), text) {
			continue
		}
		found = true
		var b bytes.Buffer
		if err := l.CopyTo(&b); err != nil {
			return err
		}
		report.Section(c.App.Writer, l.Path, b.String())
	}
	if !found {
		return exitcode.New(exitcode.Usage, "no log with %q in its name in %s: `wrapper logs` lists what is there", text, dir)
	}
	return nil
}
