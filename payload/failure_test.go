package payload_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// ended is how a program ends, with what it printed and what it left.
type ended struct {
	status         int
	signal         string
	stderr, result string
	files          []string
}

// run is a slice under a spec of which the program ends so.
func run(t *testing.T, spec payloadfile.Spec, e ended) (payload.Result, error) {
	t.Helper()
	spec.Name, spec.Kind, spec.Command, spec.Timeout = "test", payloadfile.KindCommand, []string{"/bin/sh"}, time.Minute
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := payload.NewCommand(spec, "")
	if err != nil {
		t.Fatal(err)
	}
	r := payload.Request{Dir: t.TempDir()}
	r.Run = func(_ context.Context, c proc.Command, _ keeper.Limits) (keeper.Result, error) {
		if e.result != "" {
			e.files = append(e.files, "tfpilot-result.json")
		}
		for _, name := range e.files {
			text := e.result
			if name != "tfpilot-result.json" {
				text = name
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(r.Dir, name)), 0o700); err != nil {
				return keeper.Result{}, err
			}
			if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(text), 0o600); err != nil {
				return keeper.Result{}, err
			}
		}
		_, err := io.WriteString(c.Stderr, e.stderr)
		return keeper.Result{Result: proc.Result{ExitCode: e.status, Signal: e.signal}}, err
	}
	r.Slice.Content = message.SliceContent{ReqID: "r1", Start: message.NewInt(0), End: message.NewInt(9)}
	return p.Run(t.Context(), r)
}

func TestAPayloadSaysItsFailureInItsResult(t *testing.T) {
	t.Parallel()
	const corrupt = `{"failure":{"name":"data_corrupt","message":"frame 7:\n\u001b[2Jits checksum"}}`
	for name, c := range map[string]struct {
		ended
		want  exitcode.Failure
		words string
	}{
		"with status 0":                {ended{result: corrupt}, exitcode.DataCorrupt, "test: frame 7:  [2Jits checksum"},
		"with any other":               {ended{status: 3, result: corrupt}, exitcode.DataCorrupt, "test: frame 7"},
		"against a status that says":   {ended{status: 11, result: corrupt}, exitcode.DataCorrupt, "frame 7"},
		"without a word":               {ended{result: `{"failure":{"name":"payload_permanent"}}`}, exitcode.PayloadPermanent, "test: the payload said that this slice"},
		"in a name that is none":       {ended{result: `{"failure":{"name":"data_corupt"}}`}, exitcode.PayloadBadResult, `"data_corupt" is none of payload_failed, `},
		"in such a name, and a status": {ended{status: 21, result: `{"failure":{"name":"data_corupt"}}`}, exitcode.DataCorrupt, `ended with status 21; failure.name in its result: "data_corupt" is none`},
		"in a name that is ours":       {ended{result: `{"failure":{"name":"no_broker"}}`}, exitcode.PayloadBadResult, "no_broker"},
		"of another slice":             {ended{status: 11, result: `{"req_id":"r2","failure":{"name":"data_corrupt"}}`}, exitcode.PayloadPermanent, "status 11"},
		"half written":                 {ended{status: 11, result: corrupt[:40]}, exitcode.PayloadPermanent, "status 11"},
		"but was ended by a signal":    {ended{status: -1, signal: "segmentation fault", result: corrupt}, exitcode.PayloadCrashed, "segmentation fault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := run(t, payloadfile.Spec{}, c.ended)
			if got := exitcode.From(err); got != c.want || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v", got.Name, err)
			}
			if result.Failure != nil || result.Counts != nil {
				t.Errorf("a failure has a result: %+v", result)
			}
		})
	}
}

func TestAProgramThatKnowsNoContractIsUnderstoodByItsTOML(t *testing.T) {
	t.Parallel()
	spec := payloadfile.Spec{Failures: payloadfile.Failures{
		Status: map[string]string{"3": "payload_permanent", "77": "data_corrupt", "20": "payload_failed"},
		Stderr: []payloadfile.StderrRule{{Match: "No space left on device$", As: "site_no_space"}, {Match: "(?m)^Error: cannot open ", As: "data_missing"}},
	}}
	for name, c := range map[string]struct {
		ended
		want exitcode.Failure
	}{
		"status":                       {ended{status: 3}, exitcode.PayloadPermanent},
		"status of the contract":       {ended{status: 20}, exitcode.PayloadFailed},
		"status that is not there":     {ended{status: 21}, exitcode.DataCorrupt},
		"text before status":           {ended{status: 3, stderr: "hello\nError: cannot open x\n"}, exitcode.DataMissing},
		"text after a signal":          {ended{status: -1, signal: "aborted", stderr: "Error: cannot open x"}, exitcode.DataMissing},
		"text and no result":           {ended{stderr: "Error: cannot open x"}, exitcode.DataMissing},
		"first text that fits":         {ended{status: 1, stderr: "Error: cannot open x: No space left on device"}, exitcode.SiteNoSpace},
		"text elsewhere":               {ended{status: 1, stderr: "no Error: cannot open x"}, exitcode.PayloadFailed},
		"its own word before all that": {ended{status: 3, stderr: "Error: cannot open x", result: `{"failure":{"name":"data_range"}}`}, exitcode.DataRange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := run(t, spec, c.ended); exitcode.From(err) != c.want {
				t.Errorf("%s: %v", exitcode.From(err).Name, err)
			}
		})
	}
	if _, err := run(t, spec, ended{stderr: "Error: cannot open x", result: "{}"}); err != nil {
		t.Errorf("a good result counts, whatever was printed: %v", err)
	}
}
