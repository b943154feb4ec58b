package wrappercmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/cmd/wrapper/wrappercmd"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// payloadFile writes a payload that runs a shell script.
func payloadFile(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mine.toml")
	text := fmt.Sprintf("name = \"mine\"\nversion = \"3\"\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", '''%s''']\n", script)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type output struct {
	code           int
	stdout, stderr string
}

// wrapperRun is `wrapper run ARGS`. Its callers are not parallel: all apps of the library share one help flag.
func wrapperRun(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	return wrapperRunUntil(context.Background(), t, stdin, args...)
}

func wrapperRunUntil(ctx context.Context, t *testing.T, stdin string, args ...string) output {
	t.Helper()
	var out, errs bytes.Buffer
	app := wrappercmd.App() //nolint:contextcheck // the library hands it on
	app.Reader, app.Writer, app.ErrWriter = strings.NewReader(stdin), &out, &errs
	args = append([]string{"wrapper", "run", "--work-dir", t.TempDir()}, args...)
	code := program.Run(ctx, app, args)
	return output{code, out.String(), errs.String()}
}

func (o output) mustSay(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("status %d, not %d", o.code, code)
	}
	for _, w := range words {
		if !strings.Contains(o.stdout+o.stderr, w) {
			t.Errorf("%q is not said", w)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
	}
}

const histogram = `{"name":"pt","title":"track pT","unit":"GeV","nbins":2,"low":0,"high":2,"counts":[3,1],"entries":4,"sum_w":4,"sum_wx":3,"sum_wx2":3}`

func TestRunShowsEverythingAboutADoneSlice(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `echo hello; echo careful >&2; sleep 300 & echo data >out.root
		echo '{"counts":{"events":7},"histograms":[`+histogram+`],"outputs":[{"name":"out.root"}],"warnings":["odd"]}' >"$TFPILOT_RESULT"`)
	wrapperRun(t, "", "--payload", mine, "--stf", "x.stf", "--frames", "3-65").mustSay(t, 0,
		"verdict  done", "mine 3", "x.stf, frames 3 to 65", "wall ", "user ", "system ", "MB in ", "next     a pilot publishes the result as done", "time line, ", "payload ", "held by  ", "exit code 0, 1 processes left behind and killed",
		"events 7", "track pT [GeV]: 4 entries", "█", "out.root, 5 bytes, adler32 05a501a5", "warning  odd", "stdout:\n  hello", "stderr:\n  careful")
}

func TestTheExitStatusIsTheFailures(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	wrapperRun(t, "", "--payload", payloadFile(t, "echo no hits at all >&2; exit 11"), "--input", "x").mustSay(t, exitcode.PayloadPermanent.Code,
		"verdict  failed", "11 payload_permanent, class payload, not worth another attempt", "mine ended with status 11: no hits at all", "next     a pilot publishes the result as failed", "stays failed, because it is not worth another attempt")
	wrapperRun(t, "", "--payload", payloadFile(t, "kill -SEGV $$"), "--input", "x").mustSay(t, exitcode.PayloadCrashed.Code,
		"12 payload_crashed, class payload, another attempt may succeed", "signal: segmentation fault")
	wrapperRun(t, "", "--payload", payloadFile(t, ":"), "--input", "x", "--last", "-1").mustSay(t, exitcode.DataInvalid.Code, "end -1 before start 0", "none was started")
}

// residentFile writes a payload that stays and runs a shell script.
func residentFile(t *testing.T, script string) string {
	t.Helper()
	file := payloadFile(t, script)
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte(`"command"`), []byte(`"resident"`), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheStartUpOfAPayloadThatStaysIsShownApart(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := residentFile(t, `echo '{"ready":true}'; while read line; do
		id=$(echo "$line" | sed 's/.*"req_id":"\([^"]*\)".*/\1/'); echo '{"req_id":"'$id'","status":0,"result":{"counts":{"n":1}}}' | sed 's/}}}}$/}}}/'; done`)
	wrapperRun(t, "", "--payload", mine, "--input", "x").mustSay(t, 0, "verdict   done", "start-up  ", ", once in each slot", "  start-up ", "count     n 1")
	wrapperRun(t, "", "--payload", mine, "--input", "x", "--repeat", "6", "--slots", "2").mustSay(t, 0, "done     6       100.0 %", "start-up (2)")
}

func TestAPayloadThatDoesNotBecomeReadySaysWhy(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := residentFile(t, `echo no such library >&2; exit 11`)
	wrapperRun(t, "", "--payload", mine, "--input", "x").mustSay(t, exitcode.PayloadPermanent.Code, "11 payload_permanent", "next     a pilot takes no slice in this slot",
		"stderr:\n  no such library")
	wrapperRun(t, "", "--payload", mine, "--input", "x", "--repeat", "3").mustSay(t, exitcode.PayloadPermanent.Code, "no such library")
}

func TestASignalEndsThePayloadAndIsReported(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	begun := filepath.Join(t.TempDir(), "begun")
	must(t, syscall.Mkfifo(begun, 0o600))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, _ = os.ReadFile(begun) // waits for the payload to write
		cancel(errors.New("interrupt signal received"))
	}()
	wrapperRunUntil(ctx, t, "", "--payload", payloadFile(t, "echo >"+begun+"; while :; do sleep 1; done"), "--input", "x").mustSay(t, exitcode.Interrupted.Code,
		"59 interrupted, class preempted, another attempt may succeed", "interrupt signal received", "signal: terminated")
}

func TestJSONHasEverything(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `echo hello; echo '{"counts":{"events":7}}' >"$TFPILOT_RESULT"`)
	o := wrapperRun(t, "", "--payload", mine, "--input", "x", "--output", "json")
	var doc struct {
		Verdict string `json:"verdict"`
		Slice   struct {
			Content struct {
				Filename string `json:"filename"`
			} `json:"content"`
		} `json:"slice"`
		Process struct {
			WallSeconds float64 `json:"wall_seconds"`
			MaxRSSBytes int64   `json:"max_rss_bytes"`
		} `json:"process"`
		Counts map[string]int64 `json:"counts"`
		Stdout string           `json:"stdout"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	if o.code != 0 || doc.Verdict != "done" || doc.Counts["events"] != 7 || doc.Stdout != "hello\n" || doc.Process.WallSeconds <= 0 ||
		doc.Process.MaxRSSBytes <= 0 || !filepath.IsAbs(doc.Slice.Content.Filename) {
		t.Errorf("%d %+v", o.code, doc)
	}
	if o := wrapperRun(t, "", "--payload", mine, "--input", "x", "--output", "quiet"); o.stdout != "done\n" {
		t.Errorf("quiet: %q", o.stdout)
	}
}

func TestASliceMessageIsTakenFromAFileOrStdin(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	const fixture = "../../../internal/message/testdata/slice.body.json"
	mine := payloadFile(t, `cat; echo; echo $TFPILOT_INPUT; echo '{}' >"$TFPILOT_RESULT"`)
	words := []string{"2837c040-d0c9-4236-a645-4d838711c5e4, run 102023, attempt 1", `"execution_id":"stf_datataking-wguan2-0079"`, "/data/x/swf.102023.000001.stf"}
	wrapperRun(t, "", "--payload", mine, "--data-dir", "/data/x", fixture).mustSay(t, 0, words...)
	text, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	wrapperRun(t, string(text), "--payload", mine, "--data-dir", "/data/x", "-").mustSay(t, 0, words...)
}

func TestWhatIsNoSliceIsWrongUseAndSaysWhy(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for want, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"only the content of a slice, not the whole message": {`{"filename":"x","start":0,"end":1}`, []string{"-"}},
		`msg_type is "slice_result", not "slice"`:            {`{"msg_type":"slice_result","content":{}}`, []string{"-"}},
		"no content":                                {`{"msg_type":"slice","run_id":"1"}`, []string{"-"}},
		"neither req_id nor tf_filename":            {`{"msg_type":"slice","run_id":"1","content":{"filename":"x"}}`, []string{"-"}},
		"not a JSON object":                         {`[1]`, []string{"-"}},
		"not a slice message: ":                     {`{"msg_type":"slice","run_id":"1","content":[]}`, []string{"-"}},
		"no such file":                              {"", []string{"missing.json"}},
		"no slice: give":                            {"", nil},
		"not both":                                  {"", []string{"--input", "x", "slice.json"}},
		"--first and --last go with --input":        {"", []string{"--last", "3", "slice.json"}},
		"--frames, or --first and --last, not both": {"", []string{"--input", "x", "--frames", "1-2", "--last", "3"}},
		`--frames "1-b" is no range of frames`:      {"", []string{"--input", "x", "--frames", "1-b"}},
		`"more.json" is too much`:                   {"", []string{"slice.json", "--keep", "more.json"}},
		`reading payload: open none.toml`:           {"", []string{"--payload", "none.toml", "--input", "x"}},
		"larger than 1048576 bytes":                 {strings.Repeat(" ", 2<<20), []string{"-"}},
	} {
		o := wrapperRun(t, c.stdin, c.args...)
		o.mustSay(t, exitcode.Usage.Code, want)
		if strings.Count(o.stderr, "\n") != 1 || o.stdout != "" {
			t.Errorf("more than one line: %q %q", o.stdout, o.stderr)
		}
	}
}

func TestKeepShowsTheFolder(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `echo x >left; echo '{}' >"$TFPILOT_RESULT"`)
	work := t.TempDir()
	o := wrapperRun(t, "", "--payload", mine, "--input", "x", "--work-dir", work, "--keep")
	o.mustSay(t, 0, "folder   "+work)
	if files, err := filepath.Glob(filepath.Join(work, "*", "left")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestAPayloadsWordsCannotSteerTheTerminal(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `printf '\033[2Jgone\377' >&2; exit 1`)
	o := wrapperRun(t, "", "--payload", mine, "--input", "x")
	o.mustSay(t, exitcode.PayloadFailed.Code, "·[2Jgone·")
	if strings.ContainsRune(o.stdout+o.stderr, '\033') {
		t.Error("an escape sequence came through")
	}
}
