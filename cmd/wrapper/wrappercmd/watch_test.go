package wrappercmd_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/cmd/wrapper/wrappercmd"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// screen is what a program has printed so far.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// until waits for words to stand there so many times.
func (s *screen) until(t *testing.T, words string, times int) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for strings.Count(s.String(), words) < times {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%q does not stand %d times in\n%s", words, times, s)
		}
	}
}

func TestWatchRunsAgainWhenAFileIsSaved(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := filepath.Join(t.TempDir(), "hits")
	command(t.Context(), t, "init", "--lang", "bash", dir).mustSay(t, 0)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	defer cancel(nil)
	var s screen
	app := wrappercmd.App()
	app.Writer, app.ErrWriter = &s, &s
	ended := make(chan int, 1)
	work := t.TempDir()
	go func() {
		ended <- program.Run(ctx, app, []string{"wrapper", "run", "--watch", "--work-dir", work, "--payload", dir + "/hits.toml", dir + "/test/slice.json"})
	}()
	save := func(name, old, text string) {
		t.Helper()
		// At once, as editors do: else the file could be run while it is empty.
		file, hidden := filepath.Join(dir, name), filepath.Join(dir, ".saving")
		b, err := os.ReadFile(file)
		if err == nil {
			err = errors.Join(os.WriteFile(hidden, bytes.ReplaceAll(b, []byte(old), []byte(text)), 0o600), os.Rename(hidden, file))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.until(t, "waiting for a change in "+dir, 1)
	save("payload.sh", `"counted $frames frames"`, "now otherwise; touch $TFPILOT_PAYLOAD_DIR/written-by-itself")
	s.until(t, "payload.sh changed", 1)
	s.until(t, "now otherwise", 1)
	s.until(t, "waiting for a change", 2)
	save("hits.toml", `version`, "varsion")
	s.until(t, `unknown key "varsion"`, 1)
	s.until(t, "waiting for a change", 3)
	save("hits.toml", `varsion`, "version")
	s.until(t, "waiting for a change", 4)
	save("test/slice.json", `"end": 7`, `"end": 6`)
	s.until(t, "slice.json changed", 1)
	s.until(t, "frames 0 to 6", 1)
	s.until(t, "waiting for a change", 5)
	cancel(errors.New("interrupt signal received"))
	if status := <-ended; status != 0 {
		t.Errorf("status %d: %s", status, &s)
	}
	if strings.Contains(s.String(), "written-by-itself changed") {
		t.Errorf("what the payload writes counts as saved:\n%s", &s)
	}
	if left, err := filepath.Glob(filepath.Join(work, "tfpilot-slice-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestWatchNeedsAFolderToLookAt(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	wrapperRun(t, "", "--watch", "--input", "x").mustSay(t, exitcode.Usage.Code, "--watch looks at the folder of the payload's TOML file")
	wrapperRun(t, "", "--watch", "--payload", "none/x.toml", "--input", "x").mustSay(t, exitcode.Usage.Code, "watching for changes", "none: no such file")
}
