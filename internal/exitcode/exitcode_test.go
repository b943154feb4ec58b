package exitcode_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

var update = flag.Bool("update", false, "rewrite docs/exit-codes.md")

func TestEveryFailureHasItsOwnCodeAndName(t *testing.T) {
	t.Parallel()
	codes, names := map[int]string{}, map[string]int{}
	for _, f := range exitcode.Table() {
		if other, taken := codes[f.Code]; taken {
			t.Errorf("code %d belongs to %s and %s", f.Code, other, f.Name)
		}
		if _, taken := names[f.Name]; taken {
			t.Errorf("name %s stands twice", f.Name)
		}
		codes[f.Code], names[f.Name] = f.Name, f.Code
		if f.Code < 0 || f.Code > 124 {
			t.Errorf("%s: code %d collides with the shell's own or a signal's", f.Name, f.Code)
		}
		if got, ok := exitcode.ByCode(f.Code); !ok || got.Name != f.Name {
			t.Errorf("ByCode(%d) = %v, %v", f.Code, got, ok)
		}
	}
}

func TestFromFindsTheOutermostPlace(t *testing.T) {
	t.Parallel()
	inner := exitcode.New(exitcode.DataCorrupt, "frame %d", 7)
	for _, c := range []struct {
		name string
		err  error
		want exitcode.Failure
	}{
		{"nil is ok", nil, exitcode.OK},
		{"unknown error", errors.New("x"), exitcode.Internal},
		{"cancelled", fmt.Errorf("waiting: %w", context.Canceled), exitcode.Interrupted},
		{"wrapped deep", fmt.Errorf("reading: %w", inner), exitcode.DataCorrupt},
		{"outer wins", exitcode.Wrap(exitcode.PayloadFailed, inner), exitcode.PayloadFailed},
		{"placed below", exitcode.Place(exitcode.PayloadFailed, fmt.Errorf("reading: %w", inner)), exitcode.DataCorrupt},
		{"placed nowhere", exitcode.Place(exitcode.PayloadFailed, errors.New("x")), exitcode.PayloadFailed},
		{"joined", errors.Join(errors.New("a"), inner), exitcode.DataCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := exitcode.From(c.err); got != c.want {
				t.Errorf("got %s, want %s", got.Name, c.want.Name)
			}
		})
	}
	if exitcode.Wrap(exitcode.Usage, nil) != nil {
		t.Error("Wrap of nil is an error")
	}
}

func TestOnlyTheSlicesOwnFailuresArePublished(t *testing.T) {
	t.Parallel()
	for f, want := range map[exitcode.Failure]exitcode.Fate{
		exitcode.OK: exitcode.FateResult, exitcode.PayloadCrashed: exitcode.FateResult, exitcode.DataMissing: exitcode.FateResult,
		exitcode.SiteNoSpace: exitcode.FateRest, exitcode.NoCredential: exitcode.FateRest, exitcode.Internal: exitcode.FateRest,
		exitcode.BadConfig: exitcode.FateRest, exitcode.Preempted: exitcode.FateBack, exitcode.Walltime: exitcode.FateBack,
	} {
		if got := f.Fate(); got != want {
			t.Errorf("%s: %s, want %s", f.Name, got, want)
		}
	}
}

func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Exit codes and failures\n\nMade from `internal/exitcode` by `make generate`. The same names stand in results (`content.failure`), logs and worker reports.\n" +
		"*Retryable* says that the same slice or command may succeed later or elsewhere; *class* says whose fault it is; *PanDA* is the\n" +
		"nearest code of the PanDA pilot, for sites that report to PanDA. `pilot explain` prints the table, `pilot explain CODE` a line of it\n" +
		"by number, name or PanDA code, and what a status above 128 means.\n\n" +
		"| code | name | PanDA | class | retryable | what happened | next step |\n|---|---|---|---|---|---|---|\n")
	for _, f := range exitcode.Table() {
		retry := "no"
		if f.Retryable {
			retry = "yes"
		}
		panda := ""
		if f.PanDA != 0 {
			panda = strconv.Itoa(f.PanDA)
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s | %s | %s |\n", f.Code, f.Name, panda, f.Class, retry, f.Text, f.Next)
	}
	const file = "../../docs/exit-codes.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/exit-codes.md is not what the table says; run make generate")
	}
}
