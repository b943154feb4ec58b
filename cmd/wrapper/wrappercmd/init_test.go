package wrappercmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/cmd/wrapper/wrappercmd"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// command is `wrapper ARGS`. Its callers are not parallel: all apps of the library share one help flag.
func command(ctx context.Context, t *testing.T, args ...string) output {
	t.Helper()
	var out, errs bytes.Buffer
	app := wrappercmd.App() //nolint:contextcheck // the library hands it on
	app.Reader, app.Writer, app.ErrWriter = strings.NewReader(""), &out, &errs
	code := program.Run(ctx, app, append([]string{"wrapper"}, args...))
	return output{code, out.String(), errs.String()}
}

func TestInitWritesAPayloadThatRunsAtOnce(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := filepath.Join(t.TempDir(), "new", "hits")
	o := command(t.Context(), t, "init", dir, "--lang", "bash")
	o.mustSay(t, 0, "payload.sh", "your work goes in here", "wrapper run --payload "+dir+"/hits.toml "+dir+"/test/slice.json", "bash "+dir+"/test_payload.sh", "testbed demo")
	command(t.Context(), t, "run", "--work-dir", t.TempDir(), "--payload", dir+"/hits.toml", dir+"/test/slice.json").mustSay(t, 0, "verdict  done", "count    frames 8")
	command(t.Context(), t, "init", dir).mustSay(t, exitcode.Usage.Code, "is there already, and is left alone")
}

func TestInitListsWhatItWroteAsJSON(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	o := command(t.Context(), t, "init", "--lang", "bash", "-o", "json", filepath.Join(t.TempDir(), "hits"))
	var doc struct {
		Spec  string              `json:"spec"`
		Files []map[string]string `json:"files"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil || filepath.Base(doc.Spec) != "hits.toml" || len(doc.Files) != 5 {
		t.Errorf("%v: %s", err, o.stdout)
	}
}

func TestInitWithoutANameSaysWhatItTakes(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	command(t.Context(), t, "init").mustSay(t, exitcode.Usage.Code, "takes the name of the new payload")
	command(t.Context(), t, "init", "a", "b").mustSay(t, exitcode.Usage.Code, "takes the name of the new payload")
	command(t.Context(), t, "init", t.TempDir()+"/x", "--lang", "cobol").mustSay(t, exitcode.Usage.Code, "none of python, go, bash")
}
