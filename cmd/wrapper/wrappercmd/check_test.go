package wrappercmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"tfpilot/internal/exitcode"
)

func TestCheckFindsNothingWrongWithWhatInitWrites(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := filepath.Join(t.TempDir(), "hits")
	command(t.Context(), t, "init", "--lang", "bash", dir).mustSay(t, 0)
	o := command(t.Context(), t, "check", dir+"/hits.toml", dir+"/test/slice.json")
	o.mustSay(t, 0, "hits.toml: ok: hits 0.1 of kind command\n", "slice.json: ok\n")
	command(t.Context(), t, "check", "synthetic").mustSay(t, 0, "ok: synthetic 1 of kind synthetic")

	work := t.TempDir()
	command(t.Context(), t, "run", "--keep", "--work-dir", work, "--payload", dir+"/hits.toml", dir+"/test/slice.json").mustSay(t, 0)
	results, err := filepath.Glob(work + "/*/tfpilot-result.json")
	if err != nil || len(results) != 1 {
		t.Fatalf("%v, %v", results, err)
	}
	command(t.Context(), t, "check", dir+"/hits.toml", results[0]).mustSay(t, 0, results[0]+": ok")
}

func TestCheckEndsWithTheCodeOfTheFirstError(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	good := payloadFile(t, ":")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitcode.Usage.Code, "takes a payload's TOML file"},
		{[]string{write("bad.toml", "name = \"x\"\nkind = \"command\"\ncommand = [\"sh\"]\ncores = 0.5\n")}, exitcode.Usage.Code, "bad.toml:4:"},
		{[]string{write("gone.toml", "name = \"x\"\nkind = \"command\"\ncommand = [\"./gone\"]\n")}, exitcode.SiteNoProgram.Code, "gone.toml:3: error: looking for"},
		{
			[]string{write("image.toml", "name = \"x\"\nkind = \"command\"\ncommand = [\"sh\"]\n[container]\nimage = \"/none/image\"\n")},
			exitcode.SiteContainer.Code,
			"image.toml:5: error: ",
		},
		{[]string{good, write("result.json", "{\n\"hits\": 1}")}, exitcode.PayloadBadResult.Code, `result.json:2: error: unknown key "hits"`},
		{[]string{good, write("slice.json", "{\"msg_type\": \"slice\"}")}, exitcode.Usage.Code, "slice.json:1: error: not a slice message: it has no content"},
		{
			[]string{good, write("range.json", "{\"msg_type\": \"slice\", \"run_id\": 1, \"content\": {\"req_id\": \"x\", \"filename\": \"../x\",\n\"start\": 5, \"end\": 4}}")},
			exitcode.DataInvalid.Code, "range.json:2: error: end 4 before start 5",
		},
		{[]string{good, filepath.Join(dir, "none.json")}, exitcode.Usage.Code, "none.json: error: reading it: open "},
		{
			[]string{good, write("input.json", "{\"msg_type\": \"slice\", \"run_id\": 1, \"content\": {\"req_id\": \"x\",\n\"filename\": \"none.stf\", \"start\": 0, \"end\": 4}}")},
			0, "input.json:2: warning: filename none.stf is neither in the current folder nor beside the slice",
		},
	} {
		command(t.Context(), t, append([]string{"check"}, c.args...)...).mustSay(t, c.code, c.want)
	}
}

func TestCheckIsJSONToo(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	o := command(t.Context(), t, "check", payloadFile(t, ":"), "--output", "json")
	var doc struct {
		OK       bool             `json:"ok"`
		Problems []map[string]any `json:"problems"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil || !doc.OK || len(doc.Problems) != 1 || doc.Problems[0]["severity"] != "warning" {
		t.Errorf("%v: %s", err, o.stdout)
	}
}
