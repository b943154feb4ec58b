package wrapper_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/wrapper"
)

// result is a script's end: an empty result.
const result = "\necho '{}' >\"$TFPILOT_RESULT\"\n"

// TestNoSecretOfThePilotReachesAPayload is not parallel, because it sets variables of this process.
func TestNoSecretOfThePilotReachesAPayload(t *testing.T) {
	for _, name := range []string{"TFPILOT_TOKEN", "TFPILOT_BROKER_PASSWORD", "X509_USER_PROXY", "AWS_SECRET_ACCESS_KEY", "PANDA_AUTH_ID_TOKEN", "HOME"} {
		t.Setenv(name, "hush-hush")
	}
	t.Setenv("TZ", "UTC")
	spec := shell("env" + result)
	spec.Env = map[string]string{"MINE": "yes"}
	o := work(t, spec, slice(t, `{}`))
	mustBeDone(t, o)
	out := o.Result.Usage.Stdout
	if strings.Contains(out, "hush") {
		t.Errorf("a secret is in\n%s", out)
	}
	allowed := []string{
		"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "MINE", "PWD", "OLDPWD", "SHLVL", "_", "TFPILOT_TREE",
		"TFPILOT_CONTRACT", "TFPILOT_INPUT", "TFPILOT_FIRST", "TFPILOT_LAST", "TFPILOT_RESULT", "TFPILOT_RUN_ID", "TFPILOT_REQ_ID",
		"TFPILOT_ATTEMPT", "TFPILOT_NAMESPACE", "TFPILOT_TF_FILENAME", "TFPILOT_PAYLOAD_DIR", "TFPILOT_SLOT",
	}
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, "="); !slices.Contains(allowed, name) {
			t.Errorf("%s is not in docs/payloads.md", name)
		}
	}
	for _, line := range []string{"MINE=yes\n", "TZ=UTC\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %s", line)
		}
	}
}

func TestAProgramGoesOnWithTheTraceOfItsSlice(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for content, want := range map[string]string{
		`{"traceparent":"` + trace + `"}`: "trace " + trace + "\n", `{"traceparent":"00-x\\nBAD=1"}`: "trace none\n", `{}`: "trace none\n",
	} {
		o := work(t, shell(`echo "trace ${TRACEPARENT-none}"`+result), slice(t, content))
		mustBeDone(t, o)
		if o.Result.Usage.Stdout != want {
			t.Errorf("%s: %q", content, o.Result.Usage.Stdout)
		}
	}
}

func TestTheSliceIsOnStdinAndInVariablesAndArguments(t *testing.T) {
	t.Parallel()
	spec := shell(`cat; pwd; echo "$HOME $TMPDIR $TFPILOT_CONTRACT $TFPILOT_INPUT $TFPILOT_FIRST $TFPILOT_LAST $TFPILOT_RUN_ID $TFPILOT_REQ_ID $TFPILOT_ATTEMPT $TFPILOT_NAMESPACE $TFPILOT_TF_FILENAME $LIB"; echo "$0 $1"` + result)
	spec.Dir = "/where/it/is"
	spec.Command = append(spec.Command, "${TFPILOT_PAYLOAD_DIR}/x.py", "--last=${TFPILOT_LAST} ${HOME}")
	spec.Env = map[string]string{"LIB": "${TFPILOT_PAYLOAD_DIR}/lib"}
	cfg := wrapper.Config{WorkDir: t.TempDir(), DataDir: "/data"}
	o := newWrapper(t, spec, cfg).Run(t.Context(), slice(t, `{"attempt":2,"start":3,"end":9,"unknown":[1]}`))
	mustBeDone(t, o)
	lines := strings.Split(o.Result.Usage.Stdout, "\n")
	var got struct {
		MsgType string `json:"msg_type"`
		Content struct {
			Attempt int `json:"attempt"`
		} `json:"content"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || got.MsgType != "slice" || got.Content.Attempt != 2 || !strings.Contains(lines[0], `"unknown":[1]`) {
		t.Errorf("%v: %s", err, lines[0])
	}
	dir := lines[1]
	if filepath.Dir(dir) != cfg.WorkDir {
		t.Errorf("it ran in %s", dir)
	}
	if want := dir + " " + dir + " 1 /data/x.stf 3 9 7 r1 2 ns x_slice_000.tf /where/it/is/lib"; lines[2] != want {
		t.Errorf("got  %s\nwant %s", lines[2], want)
	}
	if want := "/where/it/is/x.py --last=9 ${HOME}"; lines[3] != want {
		t.Errorf("got  %s\nwant %s", lines[3], want)
	}
}

func TestMeasuringAnEndlessOutputIsInTheTimeout(t *testing.T) {
	t.Parallel()
	spec := shell("truncate -s 4T hole\n" + leave(`{"outputs":[{"name":"hole"}]}`))
	spec.Timeout = time.Second
	mustFail(t, work(t, spec, slice(t, `{}`)), exitcode.PayloadTimeout, "longer than its 1s")
}

func TestASliceThatIsTakenBackIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	ready := filepath.Join(t.TempDir(), "ready")
	spec := shell(leave("{}") + `mkfifo "$READY"; echo >"$READY"; while :; do sleep 1; done`)
	spec.Env = map[string]string{"READY": ready}
	go func() {
		for {
			if _, err := os.ReadFile(ready); err == nil { // waits for the script to write
				cancel(errors.New("the slot is needed"))
				return
			}
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
	}()
	mustFail(t, newWrapper(t, spec, wrapper.Config{WorkDir: t.TempDir()}).Run(ctx, slice(t, `{}`)), exitcode.Interrupted, "the slot is needed")
}

func TestTenMegabytesOfOutputAreBoundedAndDoNotBlock(t *testing.T) {
	t.Parallel()
	o := work(t, shell(`echo first; head -c 10000000 /dev/zero | tr '\0' x; echo; echo last; head -c 10000000 /dev/zero >&2`+result), slice(t, `{}`))
	mustBeDone(t, o)
	out := o.Result.Usage.Stdout
	if !strings.HasPrefix(out, "first\nxxx") || !strings.HasSuffix(out, "xxx\nlast\n") || !strings.Contains(out, " bytes dropped ...\n") || len(out) > 33<<10 {
		t.Errorf("%d bytes: %.20q ... %q", len(out), out, out[max(0, len(out)-20):])
	}
	if len(o.Result.Usage.Stderr) > 33<<10 {
		t.Errorf("%d bytes of stderr", len(o.Result.Usage.Stderr))
	}
}

func TestInputThatNobodyReadsDoesNotBlock(t *testing.T) {
	t.Parallel()
	mustBeDone(t, work(t, shell("exec 0<&-"+result), slice(t, `{"note":"`+strings.Repeat("n", 1<<20)+`"}`)))
}

func TestTheFolderGoesEvenWithoutRights(t *testing.T) {
	t.Parallel()
	mustBeDone(t, work(t, shell(`mkdir -p a/b; echo x >a/b/c; echo x >a/d`+result+`chmod 000 a/b/c a/b a; chmod 500 .`), slice(t, `{}`)))
	// Without rights on the folder itself nobody but root could read the result: here only the folder's end is looked at.
	_ = work(t, shell(`mkdir -p a/b`+result+`chmod 000 a/b a .`), slice(t, `{}`))
}

// A pilot that is killed cannot remove the folder of its slice. What is in use, or kept, or not ours, stays.
func TestTheFolderThatAKilledPilotLeftIsRemoved(t *testing.T) {
	t.Parallel()
	work, on := t.TempDir(), filepath.Join(t.TempDir(), "on")
	spec := shell(`touch started; while ! [ -e "$ON" ]; do sleep 0.01; done` + result)
	spec.Env = map[string]string{"ON": on}
	done := make(chan wrapper.Outcome)
	w := newWrapper(t, spec, wrapper.Config{WorkDir: work})
	go func() { done <- w.Run(t.Context(), slice(t, `{}`)) }()
	var inUse string
	for inUse == "" {
		if dirs, err := filepath.Glob(filepath.Join(work, "tfpilot-slice-*", "started")); err != nil || len(dirs) > 0 {
			inUse = filepath.Dir(dirs[0])
		}
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("no folder")
		}
	}
	old := time.Now().Add(-time.Hour)
	left, kept, young := filepath.Join(work, "tfpilot-slice-1"), filepath.Join(work, "tfpilot-kept-1"), filepath.Join(work, "tfpilot-slice-2")
	for _, dir := range []string{left, kept, young} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{left, kept, inUse} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	mustBeDone(t, newWrapper(t, shell(result), wrapper.Config{WorkDir: work}).Run(t.Context(), slice(t, `{}`)))
	for dir, there := range map[string]bool{left: false, kept: true, young: true, inUse: true} {
		if _, err := os.Stat(dir); (err == nil) != there {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := os.WriteFile(on, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustBeDone(t, <-done)
}

func TestAKeptFolderHasWhatThePayloadLeft(t *testing.T) {
	t.Parallel()
	o := newWrapper(t, shell("echo x >left; exit 1"), wrapper.Config{WorkDir: t.TempDir(), Keep: true}).Run(t.Context(), slice(t, `{}`))
	if text, err := os.ReadFile(filepath.Join(o.Dir, "left")); err != nil || string(text) != "x\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSlicesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	w := newWrapper(t, shell(`ls -A; echo $$ >"mine-$TFPILOT_REQ_ID"`+result+`ls -A`), wrapper.Config{WorkDir: t.TempDir()})
	outcomes := make(chan wrapper.Outcome)
	for n := range 4 {
		s := slice(t, `{"req_id":"r`+strconv.Itoa(n)+`"}`)
		go func() { outcomes <- w.Run(t.Context(), s) }()
	}
	for range 4 {
		o := <-outcomes
		if o.Err != nil || strings.Count(o.Result.Usage.Stdout, "mine-") != 1 {
			t.Errorf("%v: %s", o.Err, o.Result.Usage.Stdout)
		}
	}
}

// A slice with identity that cannot be worked on is one failed result of class data, which no attempt mends.
func TestASliceThatMakesNoSenseFailsWithoutAPayload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"upward path":          {`{"filename":"../../etc/passwd"}`, "path leads upward"},
		"upward absolute path": {`{"filename":"/data/../etc/passwd"}`, "path leads upward"},
		"upward in the middle": {`{"filename":"a/../../b"}`, "path leads upward"},
		"upward tf_filename":   {`{"tf_filename":"../x"}`, "path leads upward"},
		"upward dest_path":     {`{"dest_path":"/x/../y"}`, "path leads upward"},
		"line end in a path":   {`{"filename":"x\ny"}`, "control character"},
		"NUL in a path":        {`{"filename":"x\u0000y"}`, "control character"},
		"NUL in the identity":  {`{"req_id":"x\u0000y"}`, "identity \"x\\x00y\": control character"},
		"endless identity":     {`{"req_id":"` + strings.Repeat("x", 1<<20) + `"}`, "TFPILOT_REQ_ID: 1048576 bytes"},
		"no file":              {`{"filename":""}`, "filename missing"},
		"no range":             {`{"start":null}`, "start or end missing"},
		"range upside down":    {`{"start":5,"end":4}`, "end 4 before start 5"},
		"negative range":       {`{"start":-1}`, "start -1 is negative"},
		"range beyond all":     {`{"end":4000000000}`, "beyond any file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := work(t, shell("echo started"+result), slice(t, c.content))
			mustFail(t, o, exitcode.DataInvalid, c.want)
			if o.Result.Usage.Stdout != "" || o.Result.Usage.Wall != 0 {
				t.Error("the payload was started")
			}
		})
	}
}

// Producers send absolute names: the data directory is where relative ones are looked up, and no fence.
func TestAnAbsoluteNameIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"/elsewhere/x.stf": "/elsewhere/x.stf", "sub/x.stf": "/data/sub/x.stf"} {
		o := work(t, shell(`echo "$TFPILOT_INPUT"`+result), slice(t, `{"filename":"`+name+`"}`))
		mustBeDone(t, o)
		if o.Result.Usage.Stdout != want+"\n" {
			t.Errorf("%s became %s", name, o.Result.Usage.Stdout)
		}
	}
}

func TestNoopAndSleepNeedNeitherProcessNorFolder(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"noop", "sleep"} {
		dir := filepath.Join(t.TempDir(), "work")
		spec := payloadfile.Spec{Name: "s", Kind: payloadfile.KindSynthetic, Timeout: time.Minute, Synthetic: payloadfile.Synthetic{Mode: mode, Duration: time.Millisecond}}
		w := newWrapper(t, spec, wrapper.Config{WorkDir: dir}) // its tfpilot-payload does not exist
		o := w.Run(t.Context(), slice(t, `{}`))
		mustBeDone(t, o)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: there is a work directory", mode)
		}
		if o.Result.Counts["frames"] != 10 || o.Result.Usage.Wall != 0 {
			t.Errorf("%s: %+v", mode, o.Result)
		}
	}
}
