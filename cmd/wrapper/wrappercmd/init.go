package wrappercmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/internal/program"
	"tfpilot/wrapper/scaffold"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "write the beginning of a payload, which works", ArgsUsage: "NAME",
		Description: "Makes the folder NAME with a program, its TOML file, its tests and a slice to try it on. NAME may be a path.\n\n" +
			"Examples:\n" +
			"  wrapper init vertices                        in Python, which needs no package\n" +
			"  wrapper init --lang go tools/vertices        in Go\n" +
			"  wrapper run --payload vertices/vertices.toml vertices/test/slice.json",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", Value: string(payloadfile.KindCommand), Usage: "kind of the payload: " + join(scaffold.Kinds())},
			&cli.StringFlag{Name: "lang", Value: scaffold.Languages()[0], Usage: "language of the program: " + join(scaffold.Languages())},
			program.OutputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "wrapper init takes the name of the new payload, such as `wrapper init vertices`")
			}
			p, err := scaffold.Write(filepath.Clean(c.Args().First()), payloadfile.Kind(c.String("kind")), c.String("lang"))
			if err != nil {
				return err
			}
			var built error
			if c.String("lang") == "go" {
				built = build(c.Context, p.Dir)
			}
			if err := printPayload(c, p); err != nil || c.String("output") != "table" {
				return err
			}
			bin := ""
			if filepath.Base(os.Args[0]) == "wrapper" {
				bin = strings.TrimSuffix(os.Args[0], "wrapper") // as it was called, so that the lines can be pasted
			}
			fmt.Fprint(c.App.Writer, "\nnext:\n")
			if built != nil {
				fmt.Fprintf(c.App.Writer, "  (cd %s && go build -o payload .)   could not be done now: %v\n", p.Dir, built)
			}
			fmt.Fprintf(c.App.Writer, "  %swrapper run --payload %s %s\n", bin, p.Spec, p.Slice)
			fmt.Fprintf(c.App.Writer, "  %s\n", testLine(p, c.String("lang")))
			fmt.Fprintf(c.App.Writer, "  %stestbed demo --stfs 1 --frames 100 --payload %s   the whole chain\n", bin, p.Spec)
			return nil
		},
	}
}

func join[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}

// printPayload lists the files in the format of --output.
func printPayload(c *cli.Context, p scaffold.Payload) error {
	var t program.Table
	for _, f := range p.Files {
		t.Rows = append(t.Rows, []string{f.Path, f.About})
	}
	return program.Print(c, p, t)
}

// build compiles a program in Go.
func build(ctx context.Context, dir string) error {
	said := proc.NewCapture(0, 4096)
	res, err := proc.Run(ctx, proc.Command{Path: "go", Args: []string{"build", "-o", "payload", "."}, Dir: dir, Env: os.Environ(), Stdout: said, Stderr: said})
	if err != nil {
		return err
	}
	if res.ExitCode != 0 {
		return fmt.Errorf("go build: %s", strings.TrimSpace(said.String()))
	}
	return nil
}

// testLine runs the tests of the payload.
func testLine(p scaffold.Payload, language string) string {
	switch language {
	case "go":
		return "(cd " + p.Dir + " && go test .)"
	case "bash":
		return "bash " + filepath.Join(p.Dir, "test_payload.sh")
	default:
		return "python3 " + filepath.Join(p.Dir, "test_work.py")
	}
}
