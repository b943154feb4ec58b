package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
)

// run starts a small app with one command that ends with err. Its callers are not parallel: all apps of the library share
// one help flag.
func run(t *testing.T, err error, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{
		Name: "tool", Writer: &out, ErrWriter: &errs,
		Commands: []*cli.Command{{
			Name: "work", Flags: append(program.LogFlags(), program.OutputFlag()),
			Action: func(c *cli.Context) error {
				if err := program.NoArgs(c); err != nil {
					return err
				}
				if err != nil {
					return err
				}
				return program.Print(c, map[string]int{"n": 1}, program.Table{Header: []string{"N", "X"}, Rows: [][]string{{"1", "y"}}})
			},
		}},
	}
	code = program.Run(context.Background(), app, append([]string{"tool"}, args...))
	return code, out.String(), errs.String()
}

func TestAnErrorIsOneLineWithItsNextStepAndItsCode(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	code, _, stderr := run(t, exitcode.New(exitcode.NoBroker, "connecting to a:1: refused\nand b:2: refused, token=abc"), "work")
	if code != exitcode.NoBroker.Code {
		t.Errorf("code %d", code)
	}
	want := "tool: connecting to a:1: refused; and b:2: refused, token=*** (no_broker: check that it runs and that its address is right; `idds doctor` looks closer)\n"
	if stderr != want {
		t.Errorf("got  %q\nwant %q", stderr, want)
	}
}

func TestNoCellOfATableIsObeyedByATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := program.Table{Header: []string{"RUN", "WHY"}, Rows: [][]string{{"1\x1b[31m", "a\tb\r\nc\u009b2J"}, {"2", "d\u202ee"}}}
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "RUN     WHY\n1 [31m  a b; c 2J\n2       d e\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestNoTextWithinADocumentIsObeyedByATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	want := map[string]string{"a\x7f\u009b2J": "b\u202e\u2028η\x1b[2J\n"}
	if err := program.JSON(&out).Encode(want); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) || !strings.Contains(out.String(), "η") {
		t.Errorf("written is %q", out.String())
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || !maps.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWrongUseIsCode64AndSaysWhatIsWrong(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for want, args := range map[string][]string{
		"-nope":         {"work", "--nope"},
		`"nonsense"`:    {"nonsense"},
		`"surplus"`:     {"work", "surplus"},
		`--output "ps"`: {"work", "--output", "ps"},
		`-nix`:          {"work", "surplus", "--nix"},
	} {
		code, _, stderr := run(t, nil, args...)
		if code != 64 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: code %d, %q", args, code, stderr)
		}
	}
}

func TestOutputFormats(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for format, want := range map[string]string{"table": "N  X\n1  y\n", "json": "{\n  \"n\": 1\n}\n", "quiet": "1\n"} {
		code, stdout, stderr := run(t, nil, "work", "--output", format)
		if code != 0 || stdout != want {
			t.Errorf("%s: code %d, %q %s", format, code, stdout, stderr)
		}
	}
}

func TestHelpAndVersionAreEverywhere(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, args := range [][]string{{"--help"}, {"work", "--help"}, {"version"}, {}} {
		if code, stdout, stderr := run(t, nil, args...); code != 0 || stdout == "" || stderr != "" || (len(args) == 0 && !strings.Contains(stdout, "EXIT STATUS")) {
			t.Errorf("%v: code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestFlagsMayFollowArguments(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, c := range []struct{ line, want string }{
		{"read FILE --output json -v", "FILE json true"},
		{"read --output=json FILE", "FILE json false"},
		{"read FILE -o json", "FILE json false"},
		{"read -v FILE", "FILE table true"},
		{"read -- --output json", "--output json table false"},
		{"read FILE --verbose more", "FILE more table true"},
	} {
		var out, errs bytes.Buffer
		app := &cli.App{Name: "tool", Writer: &out, ErrWriter: &errs, Commands: []*cli.Command{{
			Name: "read", Flags: []cli.Flag{program.OutputFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}}},
			Action: func(c *cli.Context) error {
				_, err := fmt.Fprint(c.App.Writer, strings.Join(c.Args().Slice(), " "), " ", c.String("output"), " ", c.Bool("verbose"))
				return err
			},
		}}}
		if code := program.Run(t.Context(), app, append([]string{"tool"}, strings.Fields(c.line)...)); code != 0 || out.String() != c.want {
			t.Errorf("%s: %d, %q %s, want %q", c.line, code, &out, &errs, c.want)
		}
	}
}

func TestAnErrorMaySayItsOwnNextStep(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	code, _, stderr := run(t, exitcode.WithNext(exitcode.New(exitcode.SiteNoSpace, "no room"), "set --data"), "work")
	if code != exitcode.SiteNoSpace.Code || stderr != "tool: no room (site_no_space: set --data)\n" {
		t.Errorf("%d, %q", code, stderr)
	}
}

func TestAnAddressThatIsNoneIsWrongUse(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http-ish", ""} {
		if _, err := program.Listen(addr, ""); exitcode.From(err) != exitcode.Usage {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestListenSaysWhereAndThatATakenPortIsTaken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "address")
	ln, err := program.Listen("127.0.0.1:0", file)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(got)) != ln.Addr().String() {
		t.Errorf("%q, %v", got, err)
	}
	_, err = program.Listen(ln.Addr().String(), "")
	if exitcode.From(err) != exitcode.AddressTaken {
		t.Errorf("got %v", err)
	}
}

func TestWhyASecretFileCannotBeReadIsNotMasked(t *testing.T) {
	t.Parallel()
	_, err := program.ReadSecret(filepath.Join(t.TempDir(), "my.token"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(logging.Redact(err.Error()), "no such file or directory (") {
		t.Errorf("%v", err)
	}
}

func TestASecretFileMustBePrivateAndFilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"good", " abc \nrest\n", 0o600, ""},
		{"empty", "\n", 0o600, "is empty"},
		{"readable by others", "abc\n", 0o644, "readable by others"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			got, err := program.ReadSecret(file)
			if c.want == "" {
				if got != "abc" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "abc") {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestQuietPrintsWholeNamesWhereTheTableHasNoRoomForThem(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	long := strings.Repeat("x", 200)
	for format, want := range map[string]string{"quiet": long + "\n", "table": "NAME\nxxx...\n"} {
		var out bytes.Buffer
		app := &cli.App{Name: "tool", Writer: &out, ErrWriter: &out, Commands: []*cli.Command{{
			Name: "list", Flags: []cli.Flag{program.OutputFlag()},
			Action: func(c *cli.Context) error {
				return program.Print(c, nil, program.Table{Header: []string{"NAME"}, Rows: [][]string{{"xxx..."}}, Names: []string{long}})
			},
		}}}
		if code := program.Run(t.Context(), app, []string{"tool", "list", "--output", format}); code != 0 || out.String() != want {
			t.Errorf("%s: %d, %q", format, code, &out)
		}
	}
}
