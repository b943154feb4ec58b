package wrappercmd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/cmd/wrapper/wrappercmd"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// wrapperShell is `wrapper shell ARGS` of somebody who types the lines.
func wrapperShell(t *testing.T, lines string, args ...string) output {
	t.Helper()
	var out, errs bytes.Buffer
	app := wrappercmd.App()
	app.Reader, app.Writer, app.ErrWriter = strings.NewReader(lines), &out, &errs
	code := program.Run(t.Context(), app, append([]string{"wrapper", "shell", "--work-dir", t.TempDir()}, args...))
	return output{code, out.String(), errs.String()}
}

func TestShellIsWhereTheProgramWouldBe(t *testing.T) {
	t.Setenv("MY_SECRET", "s3cret")
	t.Setenv("TERM", "dumb")
	dir := filepath.Join(t.TempDir(), "hits")
	command(t.Context(), t, "init", "--lang", "bash", dir).mustSay(t, 0)
	work := t.TempDir()
	o := wrapperShell(t, "env; pwd; grep -c msg_type tfpilot-slice.json; bash $TFPILOT_PAYLOAD_DIR/payload.sh <tfpilot-slice.json && cat $TFPILOT_RESULT; exit 7\n",
		"--work-dir", work, "--payload", dir+"/hits.toml", dir+"/test/slice.json")
	o.mustSay(t, 7, "folder   "+work, ", removed when you leave", "program  bash "+dir+"/payload.sh", "stdin    tfpilot-slice.json",
		"TFPILOT_INPUT="+dir+"/test/frames.stf", "TFPILOT_LAST=7", "TERM=dumb", "\n"+work+"/tfpilot-slice-", "\n1\n", `"frames": 8`)
	if strings.Contains(o.stdout, "s3cret") {
		t.Errorf("the environment is not scrubbed:\n%s", o.stdout)
	}
	if left, err := filepath.Glob(filepath.Join(work, "tfpilot-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestShellRunsACommand(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, "exit 1")
	o := wrapperShell(t, "", "--payload", mine, "--stf", "x", "--frames", "3-5", "--", "sh", "-c", `echo "$TFPILOT_FIRST to $TFPILOT_LAST"; exit 3`)
	o.mustSay(t, 3)
	if o.stdout != "3 to 5\n" || o.stderr != "" {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	wrapperShell(t, "", "--payload", mine, "--stf", "x", "--", "sh", "-c", "kill -9 $$").mustSay(t, exitcode.Interrupted.Code)
	wrapperShell(t, "", "--payload", mine, "--stf", "x", "--", "no-such-program").mustSay(t, exitcode.SiteNoProgram.Code, "starting no-such-program")
}

func TestShellIsThereForAPayloadThatStaysToo(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	o := wrapperShell(t, "", "--payload", residentFile(t, "exit 1"), "--stf", "x", "--", "sh", "-c", "echo contract $TFPILOT_CONTRACT in slot $TFPILOT_SLOT")
	o.mustSay(t, 0, "contract 1 in slot 0\n")
}

func TestShellKeepsTheFolder(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	work := t.TempDir()
	wrapperShell(t, "echo x >mine\n", "--keep", "--work-dir", work, "--payload", payloadFile(t, ":"), "--stf", "x").mustSay(t, 0)
	if files, err := filepath.Glob(filepath.Join(work, "*", "mine")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestShellNeedsAPlaceAndASlice(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, ":")
	wrapperShell(t, "", "--payload", mine).mustSay(t, exitcode.Usage.Code, "no slice: give")
	wrapperShell(t, "", "--payload", mine, "-").mustSay(t, exitcode.Usage.Code, "stdin is the shell's")
	wrapperShell(t, "", "--payload", "synthetic", "--stf", "x").mustSay(t, exitcode.Usage.Code, "starts no program for this slice")
	slice := filepath.Join(t.TempDir(), "slice.json")
	must(t, os.WriteFile(slice, []byte(`{"msg_type":"slice","run_id":1,"content":{"req_id":"x","filename":"x","start":5,"end":4}}`), 0o600))
	wrapperShell(t, "", "--payload", mine, slice).mustSay(t, exitcode.DataInvalid.Code, "end 4 before start 5")
}
