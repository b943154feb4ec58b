package ask

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Health says what is wrong.
func Health() *cli.Command {
	return ask("health", "say what is wrong with the running service, or with what it stands on", program.NoArguments,
		"Exit status: 0 when nothing is, 4 otherwise. `idds doctor` looks further.\n\nExample: idds health --token-file viewer.token", nil,
		func(c *cli.Context, get getter) error {
			var doc document.Health
			err := get("/v1/health", &doc)
			if refused, ok := errors.AsType[*rest.StatusError](err); ok && refused.Code == http.StatusServiceUnavailable {
				_ = json.Unmarshal(refused.Body, &doc) // the document says why
			}
			if err != nil && len(doc.Parts) == 0 {
				return err
			}
			t := program.Table{Header: []string{"PART", "STATE", "DETAILS"}}
			for _, p := range doc.Parts {
				state := "ok"
				if !p.OK {
					state = "bad"
				}
				t.Rows = append(t.Rows, []string{p.Name, state, cell(p.Details)})
			}
			if err := program.Print(c, doc, t); err != nil {
				return err
			}
			if !doc.OK {
				return program.Quiet(exitcode.New(exitcode.CheckFailed, "something is wrong"))
			}
			return nil
		})
}
