package program_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/program"
)

func TestOfWhatIsMisspeltItIsSaidWhatWasProbablyMeant(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for line, want := range map[string]string{
		"serv":                  `no command "serv" (usage: did you mean "serve"?)`,
		"slcies":                `did you mean "slices"?`,
		"sl":                    `did you mean "slices"?`,
		"token creat":           `no command "creat" (usage: did you mean "create"?)`,
		"slices --outpt json":   `flag provided but not defined: -outpt (usage: did you mean "--output"?)`,
		"slices -outpt=json":    `did you mean "--output"?`,
		"slices --frobnicate":   `-frobnicate (usage: see --help`,
		"x":                     `no command "x" (usage: see --help`,
		"elephant":              `no command "elephant" (usage: see --help`,
		"token --namespac demo": `did you mean "--namespace"?`,
	} {
		var out, errs bytes.Buffer
		app := &cli.App{Name: "tool", Writer: &out, ErrWriter: &errs, Commands: []*cli.Command{
			{Name: "serve"},
			{Name: "secret", Hidden: true},
			{Name: "slices", Flags: []cli.Flag{program.OutputFlag()}},
			{Name: "token", Flags: []cli.Flag{&cli.StringFlag{Name: "namespace"}}, Subcommands: []*cli.Command{{Name: "create"}, {Name: "list"}}},
		}}
		if code := program.Run(t.Context(), app, append([]string{"tool"}, strings.Fields(line)...)); code != 64 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: %d, %q, want %q", line, code, &errs, want)
		}
	}
}
