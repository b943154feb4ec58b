package wrapper_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadlog"
	"tfpilot/wrapper"
)

// printed is what the kept logs of an outcome say, by stream.
func printed(t *testing.T, dir string) map[string]string {
	t.Helper()
	logs, err := payloadlog.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, l := range logs {
		var b bytes.Buffer
		if err := l.CopyTo(&b); err != nil {
			t.Fatal(err)
		}
		if !l.Complete || l.Run != "7" || l.Attempt != 1 || l.Slot != 0 {
			t.Errorf("%+v", l)
		}
		out[l.Stream] += b.String()
	}
	return out
}

func TestLogsOfFailedSlicesAreKeptCompressed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	w := newWrapper(t, shell(`echo "I am $TFPILOT_REQ_ID"; echo because >&2; [ "$TFPILOT_REQ_ID" = good ] || exit 1`+result), wrapper.Config{WorkDir: t.TempDir(), LogDir: dir})
	o := w.Run(t.Context(), slice(t, `{"req_id":"good"}`))
	mustBeDone(t, o)
	if left, err := os.ReadDir(dir); len(o.Logs) > 0 || len(left) > 0 || err != nil {
		t.Errorf("kept of a done slice: %v, %v, %v", o.Logs, left, err)
	}
	o = w.Run(t.Context(), slice(t, `{"req_id":"bad/one"}`))
	want := []string{filepath.Join(dir, "7.bad_one.a1.slot00.out.zst"), filepath.Join(dir, "7.bad_one.a1.slot00.err.zst")}
	if fmt.Sprint(o.Logs) != fmt.Sprint(want) || o.LogErr != nil {
		t.Errorf("%v, %v", o.Logs, o.LogErr)
	}
	if got := printed(t, dir); got["out"] != "I am bad/one\n" || got["err"] != "because\n" {
		t.Errorf("%q", got)
	}
	// The same attempt again, as after a kill, does not take the place of the first.
	w.Run(t.Context(), slice(t, `{"req_id":"bad/one"}`))
	if got := printed(t, dir); got["out"] != "I am bad/one\nI am bad/one\n" {
		t.Errorf("%q", got)
	}
}

func TestAllLogsAreKeptWhenAskedForAndSilentOnesNever(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	o := newWrapper(t, shell("echo hello"+result), wrapper.Config{WorkDir: t.TempDir(), LogDir: dir, KeepLogs: true}).Run(t.Context(), slice(t, `{}`))
	mustBeDone(t, o)
	if got := printed(t, dir); len(o.Logs) != 1 || got["out"] != "hello\n" {
		t.Errorf("%v %q", o.Logs, got)
	}
}

func TestNoLogsAreWrittenWhereNoneAreWanted(t *testing.T) {
	t.Parallel()
	cfg := wrapper.Config{WorkDir: t.TempDir(), LogDir: payloadlog.None, KeepLogs: true}
	o := newWrapper(t, shell("echo hello; exit 1"), cfg).Run(t.Context(), slice(t, `{}`))
	mustFail(t, o, exitcode.PayloadFailed, "status 1")
	if left, err := os.ReadDir(cfg.WorkDir); len(left) > 0 || len(o.Logs) > 0 || o.LogErr != nil || err != nil || o.Result.Usage.Stdout != "hello\n" {
		t.Errorf("%v, %+v, %v", left, o, err)
	}
}

func TestALongLogKeepsHeadAndTailAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	// Lines of 100 bytes, 20 MB of them.
	script := `awk 'BEGIN { for (i = 0; i < 200000; i++) printf "%09d %s\n", i, "` + strings.Repeat("x", 89) + `" }'; exit 1`
	o := newWrapper(t, shell(script), wrapper.Config{WorkDir: t.TempDir(), LogDir: dir, LogMB: 1}).Run(t.Context(), slice(t, `{}`))
	mustFail(t, o, exitcode.PayloadFailed, "status 1")
	got := printed(t, dir)["out"]
	head, rest, found := strings.Cut(got, "\n... ")
	count, tail, _ := strings.Cut(rest, " bytes dropped ...\n")
	var dropped int
	if _, err := fmt.Sscan(count, &dropped); err != nil || !found || len(head)+dropped+len(tail) != 20_000_000 {
		t.Errorf("%d + %s + %d, %v", len(head), count, len(tail), err)
	}
	if !strings.HasPrefix(head, "000000000 x") || !strings.HasSuffix(tail, "\n000199999 "+strings.Repeat("x", 89)+"\n") || strings.ContainsRune(got, 0) {
		t.Errorf("%.100q ... %q", head, tail[max(0, len(tail)-100):])
	}
	if len(head) < 500<<10 || len(tail) < 500<<10 || len(got) > 2<<20 {
		t.Errorf("%d and %d bytes are kept", len(head), len(tail))
	}
}

func TestALogCanBeReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	dir, on := filepath.Join(t.TempDir(), "logs"), filepath.Join(t.TempDir(), "on")
	spec := shell(`echo so far; while ! [ -e "$ON" ]; do sleep 0.01; done; exit 1`)
	spec.Env = map[string]string{"ON": on}
	done := make(chan wrapper.Outcome)
	w := newWrapper(t, spec, wrapper.Config{WorkDir: t.TempDir(), LogDir: dir})
	go func() { done <- w.Run(t.Context(), slice(t, `{}`)) }()
	var got string
	for got == "" {
		logs, err := payloadlog.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range logs {
			var b bytes.Buffer
			if err := l.CopyTo(&b); err != nil || l.Complete {
				t.Error(err, l)
			}
			got = b.String()
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("nothing was written")
		}
	}
	if got != "so far\n" {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(on, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestTheFolderOfLogsIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(foreign, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	// What does not compress.
	w := newWrapper(t, shell("head -c 400000 /dev/urandom; exit 1"), wrapper.Config{WorkDir: t.TempDir(), LogDir: dir, LogMB: 1, LogsMB: 1})
	for n := range 5 {
		w.Run(t.Context(), slice(t, fmt.Sprintf(`{"req_id":"r%d"}`, n)))
	}
	logs, err := payloadlog.List(dir)
	if err != nil || len(logs) != 2 || logs[0].Slice != "r3" || logs[1].Slice != "r4" {
		t.Errorf("%+v, %v", logs, err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// A log is for people: a slice does not fail for it.
func TestALogThatCannotBeWrittenIsSaidAndNoReasonToFail(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := newWrapper(t, shell("echo hello"+result), wrapper.Config{WorkDir: t.TempDir(), LogDir: filepath.Join(file, "logs")}).Run(t.Context(), slice(t, `{}`))
	mustBeDone(t, o)
	if o.LogErr == nil || !strings.Contains(o.LogErr.Error(), file) || len(o.Logs) > 0 {
		t.Errorf("%v, %v", o.LogErr, o.Logs)
	}
}

func TestBoundsOfLogsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []wrapper.Config{{LogMB: -1}, {LogMB: 10, LogsMB: 5}, {Containment: "jail"}} {
		cfg.WorkDir = t.TempDir()
		if _, err := wrapper.New(shell(""), nil, nil, cfg); exitcode.From(err) != exitcode.Usage {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
