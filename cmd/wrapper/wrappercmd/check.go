package wrappercmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/program"
	"tfpilot/wrapper/lint"
)

// checked is what `wrapper check` found. Its JSON is a promise to scripts.
type checked struct {
	OK       bool           `json:"ok"` // there may be warnings
	Problems []lint.Problem `json:"problems"`
}

func checkCommand() *cli.Command {
	var bin string
	return &cli.Command{
		Name: "check", Usage: "say what is wrong with a payload's TOML file, its results or a slice", ArgsUsage: "FILE.toml [RESULT.json | SLICE.json]...",
		Description: "Nothing of the payload is run. A result is held to the contract of docs/payloads.md and to [output]; the files that it names\n" +
			"are looked for beside it. A document with msg_type slice is taken for a slice message.\n\n" +
			"Examples:\n" +
			"  wrapper check mine.toml\n" +
			"  wrapper run --payload mine.toml --keep slice.json     leaves the folder with tfpilot-result.json\n" +
			"  wrapper check mine.toml FOLDER/tfpilot-result.json\n\n" +
			"Exit status: 0 when nothing but warnings was found; otherwise the code of the first error: 64 for the TOML file or the slice,\n" +
			"31 when the program could not be started, 37 when its container could not, 15 for a result, 23 for a slice that cannot be worked on.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "payload-bin", EnvVars: []string{"TFPILOT_PAYLOAD_BIN"}, Usage: "path of tfpilot-payload (default: beside this program)", Destination: &bin},
			program.OutputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return exitcode.New(exitcode.Usage, "wrapper check takes a payload's TOML file, and results or slices after it")
			}
			return check(c, bin)
		},
	}
}

// check looks at everything that is named, and reports.
func check(c *cli.Context, bin string) error {
	file := c.Args().First()
	spec, found := lint.Payload(file, func(s payloadfile.Spec) error {
		w, err := wrapperOf(s, runConfig{PayloadBin: bin})
		if err != nil {
			return err
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context), 10*time.Second)
		defer cancel()
		return w.Close(closing)
	})
	for _, document := range c.Args().Tail() {
		found = append(found, checkDocument(c.Context, document, spec)...)
	}
	first := slices.IndexFunc(found, func(p lint.Problem) bool { return p.Severity == lint.Error })
	if err := showProblems(c, checked{first < 0, found}, file, spec); err != nil || first < 0 {
		return err
	}
	f, _ := exitcode.ByCode(found[first].Code)
	return program.Quiet(exitcode.New(f, "%s", found[first].Text))
}

// checkDocument looks at a result or a slice.
func checkDocument(ctx context.Context, file string, spec payloadfile.Spec) []lint.Problem {
	text, err := os.ReadFile(file)
	if err != nil {
		return lint.At(file, nil, exitcode.New(exitcode.Usage, "reading it: %w", err))
	}
	var envelope struct {
		MsgType string `json:"msg_type"`
	}
	if json.Unmarshal(text, &envelope) != nil || envelope.MsgType != message.TypeSlice {
		return lint.Result(ctx, file, spec)
	}
	s, err := decodeSlice(text)
	if err != nil {
		return lint.At(file, text, exitcode.Wrap(exitcode.Usage, err))
	}
	found := lint.At(file, text, exitcode.Wrap(exitcode.DataInvalid, s.Validate()))
	name := s.Content.Filename
	if len(found) == 0 && isFileName(name) && missing(name) && missing(filepath.Join(filepath.Dir(file), name)) {
		found = append(found, lint.Problem{
			File: file, Line: lint.LineOf(text, fmt.Errorf("filename %q", name)), Severity: lint.Warning,
			Text: fmt.Sprintf("filename %s is neither in the current folder nor beside the slice", program.Printable(name)), Next: "--data-dir says where it is",
		})
	}
	return found
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// showProblems prints them in the format of --output, as compilers do for people.
func showProblems(c *cli.Context, doc checked, file string, spec payloadfile.Spec) error {
	if doc.Problems == nil {
		doc.Problems = []lint.Problem{}
	}
	if c.String("output") != "table" {
		t := program.Table{}
		for _, p := range doc.Problems {
			t.Rows = append(t.Rows, []string{p.String()})
		}
		return program.Print(c, doc, t)
	}
	for _, p := range doc.Problems {
		fmt.Fprintln(c.App.Writer, program.Printable(p.String()))
	}
	if doc.OK {
		fmt.Fprintf(c.App.Writer, "%s: ok: %s of kind %s\n", file, strings.TrimSpace(spec.Name+" "+spec.Version), spec.Kind)
		for _, document := range c.Args().Tail() {
			fmt.Fprintf(c.App.Writer, "%s: ok\n", document)
		}
	}
	return nil
}
