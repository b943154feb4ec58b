package wrapper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/synthetic"
	"tfpilot/wrapper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell is a payload that runs a script.
func shell(script string) payloadfile.Spec {
	return payloadfile.Spec{
		Name: "test", Version: "1", Kind: payloadfile.KindCommand, Command: []string{"/bin/sh", "-c", script},
		Timeout: time.Minute, Grace: time.Second,
	}
}

// whole is frames 0 to 9 of x.stf.
const whole = `{"req_id":"r1","filename":"x.stf","tf_filename":"x_slice_000.tf","start":0,"end":9}`

// slice is a message with the whole content and further keys laid over it.
func slice(tb testing.TB, over string) message.Slice {
	tb.Helper()
	content := map[string]json.RawMessage{}
	for _, text := range []string{whole, over} {
		if err := json.Unmarshal([]byte(text), &content); err != nil {
			tb.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"msg_type": "slice", "run_id": "7", "namespace": "ns", "content": content})
	if err != nil {
		tb.Fatal(err)
	}
	var s message.Slice
	if err := json.Unmarshal(text, &s); err != nil {
		tb.Fatal(err)
	}
	return s
}

// work runs a payload on a slice and checks that its folder is gone.
func work(t *testing.T, spec payloadfile.Spec, s message.Slice) wrapper.Outcome {
	t.Helper()
	cfg := wrapper.Config{WorkDir: t.TempDir(), DataDir: "/data"}
	o := newWrapper(t, spec, cfg).Run(t.Context(), s)
	left, err := os.ReadDir(cfg.WorkDir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
	return o
}

func newWrapper(t *testing.T, spec payloadfile.Spec, cfg wrapper.Config) *wrapper.Wrapper {
	t.Helper()
	const noBuiltin = "/no/such/tfpilot-payload"
	simulated, err := synthetic.New(payloadfile.Spec{Name: "synthetic", Kind: payloadfile.KindSynthetic, Synthetic: payloadfile.Synthetic{Mode: "noop"}}, noBuiltin)
	if err != nil {
		t.Fatal(err)
	}
	var p payload.Payload
	if spec.Kind == payloadfile.KindSynthetic {
		p, err = synthetic.New(spec, noBuiltin)
	} else {
		p, err = payload.NewCommand(spec, noBuiltin)
	}
	if err != nil {
		t.Fatal(err)
	}
	if cfg.LogDir == "" {
		cfg.LogDir = filepath.Join(t.TempDir(), "logs")
	}
	w, err := wrapper.New(spec, p, simulated, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// mustFail checks the verdict of a script.
func mustFail(t *testing.T, o wrapper.Outcome, want exitcode.Failure, words string) {
	t.Helper()
	f := o.Failure()
	if f == nil {
		t.Fatalf("done, with %+v", o.Result)
	}
	if f.Name != want.Name || f.Code != want.Code || f.Class != string(want.Class) || f.Retryable != want.Retryable || !strings.Contains(f.Message, words) {
		t.Errorf("%+v, not %s with %q", f, want.Name, words)
	}
	if o.Result.Counts != nil || o.Result.Histograms != nil || o.Result.Outputs != nil {
		t.Errorf("a failure has a result: %+v", o.Result)
	}
}

func mustBeDone(t *testing.T, o wrapper.Outcome) {
	t.Helper()
	if o.Err != nil {
		t.Fatalf("%v\n%s", o.Err, o.Result.Usage.Stderr)
	}
}

// leave is a script that leaves a result.
func leave(result string) string {
	return fmt.Sprintf("cat >\"$TFPILOT_RESULT\" <<'END'\n%s\nEND\n", result)
}

func TestAResultIsReadAndItsOutputsMeasured(t *testing.T) {
	t.Parallel()
	h := `{"name":"pt","nbins":2,"low":0,"high":2,"counts":[1,2],"overflow":1,"entries":4,"sum_w":3,"sum_wx":3.5,"sum_wx2":4.75}`
	o := work(t, shell("mkdir sub; printf Wikipedia >sub/out.root; ln sub/out.root other; ln -s sub/out.root link\n"+
		leave(`{"req_id":"r1","counts":{"events":7,"tracks":0},"histograms":[`+h+`],"outputs":[{"name":"sub/out.root","size_bytes":1},{"name":"other"},{"name":"link"}],"warnings":["odd"]}`)), slice(t, `{}`))
	mustBeDone(t, o)
	r := o.Result
	if r.Counts["events"] != 7 || len(r.Histograms) != 1 || r.Histograms[0].Overflow != 1 || r.Warnings[0] != "odd" || o.Payload.Name != "test" {
		t.Errorf("%+v", r)
	}
	for _, out := range r.Outputs {
		if out.SizeBytes != 9 || out.Adler32 != "11e60398" {
			t.Errorf("%+v", out)
		}
	}
	if u := r.Usage; u.Wall <= 0 || u.MaxRSSBytes == 0 || u.ExitCode != 0 || !o.Ended.After(o.Started) {
		t.Errorf("%+v", u)
	}
}

func TestAnEmptyObjectIsAResult(t *testing.T) {
	t.Parallel()
	mustBeDone(t, work(t, shell(leave("{}")), slice(t, `{}`)))
}

func TestABrokenResultIsThePayloadsFaultAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	many := func(what string, n int) string {
		return `{"` + what + `":[` + strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") + `]}`
	}
	pt := `{"name":"pt","nbins":1,"low":0,"high":2,"counts":[1],"entries":1,"sum_w":1,"sum_wx":1,"sum_wx2":1}`
	for want, script := range map[string]string{
		"not a JSON object":                leave("[]"),
		"not a JSON object ":               leave("null"), // the space makes the key another
		"it ends in the middle":            leave(`{"counts":{"events":7}`),
		`unknown key "cuonts"`:             leave(`{"cuonts":{}}`),
		"more than one JSON document":      leave(`{} {}`),
		"invalid character 'N'":            leave(`{"counts":{"events":NaN}}`),
		"where a whole number is meant":    leave(`{"counts":{"events":7.5}}`),
		`it is of slice "other"`:           leave(`{"req_id":"other"}`),
		"count events is negative":         leave(`{"counts":{"events":-1}}`),
		"not a name":                       leave(`{"counts":{"":1}}`),
		"100 entries":                      leave(`{"histograms":[{"name":"pt","nbins":1,"low":0,"high":1,"counts":[1],"entries":100,"sum_w":1}]}`),
		"0 counts for 5 bins":              leave(`{"histograms":[{"name":"pt","nbins":5,"low":0,"high":1}]}`),
		"histogram pt stands there twice":  leave(`{"histograms":[` + pt + "," + pt + `]}`),
		`unknown key "bins"`:               leave(`{"histograms":[{"bins":1}]}`),
		"101 warnings, more than 100":      leave(many("warnings", 101)),
		`a warning of more than 1000 byte`: leave(`{"warnings":["` + strings.Repeat("w", 1001) + `"]}`),
		`output "gone": `:                  leave(`{"outputs":[{"name":"gone"}]}`),
		`output "": not a name`:            leave(`{"outputs":[{"name":""}]}`),
		`output "empty": empty`:            ": >empty\n" + leave(`{"outputs":[{"name":"empty"}]}`),
		`output ".": empty, or no plain`:   leave(`{"outputs":[{"name":"."}]}`),
		`output "../x": not a name in the`: "echo x >../x; trap 'rm ../x' 0\n" + leave(`{"outputs":[{"name":"../x"}]}`),
		`output "/etc/passwd": not a name`: leave(`{"outputs":[{"name":"/etc/passwd"}]}`),
		`output "passwd": `:                "ln -s /etc/passwd passwd\n" + leave(`{"outputs":[{"name":"passwd"}]}`),
		`output "up/passwd": `:             "ln -s /etc up\n" + leave(`{"outputs":[{"name":"up/passwd"}]}`),
		`output "pipe": empty, or no`:      "mkfifo pipe\n" + leave(`{"outputs":[{"name":"pipe"}]}`),
		"too many levels of symbolic":      `echo '{}' >other; ln -s other "$TFPILOT_RESULT"`,
		"no plain file":                    `mkfifo "$TFPILOT_RESULT"`,
		"no plain file ":                   `mkdir "$TFPILOT_RESULT"`,
		"larger than 8388608 bytes":        `head -c 9000000 /dev/zero >"$TFPILOT_RESULT"`,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			mustFail(t, work(t, shell(script), slice(t, `{}`)), exitcode.PayloadBadResult, strings.TrimSpace(want))
		})
	}
}

func TestAnExitStatusSaysWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]exitcode.Failure{
		1: exitcode.PayloadFailed, 2: exitcode.PayloadFailed, 4: exitcode.PayloadFailed,
		10: exitcode.PayloadFailed, 11: exitcode.PayloadPermanent, 12: exitcode.PayloadCrashed, 13: exitcode.PayloadTimeout,
		14: exitcode.PayloadNoResult, 15: exitcode.PayloadBadResult, 16: exitcode.PayloadLimit,
		20: exitcode.DataMissing, 21: exitcode.DataCorrupt, 22: exitcode.DataRange, 23: exitcode.DataInvalid,
		24: exitcode.DataUnreachable, 30: exitcode.SiteNoSpace, 50: exitcode.NoCredential,
		// Not for a payload to say: they are about us.
		31: exitcode.PayloadFailed, 40: exitcode.PayloadFailed, 51: exitcode.PayloadFailed, 57: exitcode.PayloadFailed,
		59: exitcode.PayloadFailed, 64: exitcode.PayloadFailed, 99: exitcode.PayloadFailed, 127: exitcode.PayloadFailed, 255: exitcode.PayloadFailed,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			// A result does not help.
			o := work(t, shell(leave(`{"counts":{"events":1}}`)+fmt.Sprintf("echo not this >&2; echo because >&2; exit %d", status)), slice(t, `{}`))
			mustFail(t, o, want, fmt.Sprintf("test ended with status %d: because", status))
			if o.Result.Usage.ExitCode != status {
				t.Errorf("%+v", o.Result.Usage)
			}
		})
	}
}

func TestAPanicOfTheROOTLibraryIsDamagedData(t *testing.T) {
	t.Parallel()
	const trace = "panic: runtime error: index out of range [7]\n\ngoroutine 9 [running]:\ngo-hep.org/x/hep/groot/rtree.(*rbasket).readLeaf(0x0)"
	mustFail(t, work(t, shell("cat >&2 <<'END'\n"+trace+"\nEND\nexit 2"), slice(t, `{}`)), exitcode.DataCorrupt, "could not read the input")
	// Another program's panic is its own fault, and told by its first line.
	o := work(t, shell("cat >&2 <<'END'\n"+strings.ReplaceAll(trace, "go-hep.org/x/hep", "example.org")+"\nEND\nexit 2"), slice(t, `{}`))
	mustFail(t, o, exitcode.PayloadFailed, "status 2: panic: runtime error: index out of range [7]")
}

func TestAProgramThatIsMissingIsTheSitesFault(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"/no/such/program", "no-such-program", "/etc/passwd"} {
		spec := shell("")
		spec.Command = []string{program}
		if _, err := payload.NewCommand(spec, ""); exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(err.Error(), program) {
			t.Errorf("%s: %v", program, err)
		}
	}
	_, err := payload.NewCommand(payloadfile.Spec{Name: "tfreco", Kind: payloadfile.KindTFReco}, "/no/such/tfpilot-payload")
	if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(err.Error(), "/no/such/tfpilot-payload") {
		t.Errorf("tfreco: %v", err)
	}
	// One that goes away later, as on a file system that is no longer mounted.
	spec := shell("")
	spec.Command = []string{filepath.Join(t.TempDir(), "program")}
	if err := os.WriteFile(spec.Command[0], []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWrapper(t, spec, wrapper.Config{WorkDir: t.TempDir()})
	if err := os.Remove(spec.Command[0]); err != nil {
		t.Fatal(err)
	}
	mustFail(t, w.Run(t.Context(), slice(t, `{}`)), exitcode.SiteNoProgram, "starting "+spec.Command[0])
}

func TestAWorkDirectoryThatCannotBeMadeIsTheSitesFault(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWrapper(t, shell(""), wrapper.Config{WorkDir: filepath.Join(file, "work")})
	mustFail(t, w.Run(t.Context(), slice(t, `{}`)), exitcode.SiteNoSpace, "making the work directory")
}
