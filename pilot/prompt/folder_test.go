package prompt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/pilot/prompt"
)

func TestSecretsWithinTheJobFolderAreRemovedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	job, home := filepath.Join(t.TempDir(), "job"), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(job, "tokens"), 0o700))
	within := []string{filepath.Join(job, "run_prompt_wrapper"), filepath.Join(job, "tokens", "pilot"), filepath.Join(job, "x509_proxy")}
	outside := []string{filepath.Join(home, "token"), job + "-other"}
	for _, path := range append(within, outside...) {
		must(t, os.WriteFile(path, []byte("s3cret"), 0o600))
	}
	link := filepath.Join(job, "link")
	must(t, os.Symlink(outside[0], link))
	must(t, prompt.Sweep(job, append(append([]string{"", job, filepath.Join(job, "tokens"), filepath.Join(job, "none"), link}, within...), outside...)...))
	for _, path := range append(within, link) {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range append(outside, job, filepath.Join(job, "tokens")) {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestEverySecretThatTheEnvironmentNamesIsSwept(t *testing.T) {
	t.Parallel()
	files := strings.Join(prompt.Secrets(func(name string) string { return "<" + name + ">" }), " ")
	for _, name := range []string{
		"<PANDA_AUTH_DIR>", "<PANDA_AUTH_DIR>/<PANDA_AUTH_TOKEN>", "<OIDC_AUTH_TOKEN_FILE>", "<X509_USER_PROXY>", "<PROMPT_TRANSFORM_CONF>", "<TFPILOT_TOKEN_FILE>", "prompt.conf",
	} {
		if !strings.Contains(files, name) {
			t.Errorf("%s is not among %s", name, files)
		}
	}
}

func TestNoLineOfTheLogIsTakenForTheReasonOfAFailure(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := "slice failed: CRITICAL: no hits\n"
	if n, err := prompt.Log(&out).Write([]byte(line)); n != len(line) || err != nil || out.String() != "slice failed: critical: no hits\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}

func TestTheJobReportSaysWhatWasDoneAndWhyItEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := document.WorkerReport{PilotID: "pilot-1", RunID: "102023", Slots: 2, Totals: document.WorkerTotals{Done: 7, Failed: 1}}
	err := exitcode.New(exitcode.NoBroker, "no broker: %w", errors.New("password=s3cret refused"))
	must(t, prompt.NewJobReport(w, time.Now(), err, 40).Write(dir))
	text, err := os.ReadFile(filepath.Join(dir, "jobReport.json"))
	must(t, err)
	var got prompt.JobReport
	must(t, json.Unmarshal(text, &got))
	if got.Slices.Done != 7 || got.RunID != "102023" || got.Exit.Code != 40 || got.Exit.Name != "no_broker" || !strings.Contains(got.Exit.Cause, "no broker") ||
		strings.Contains(string(text), "s3cret") || got.EndedAt.Before(got.StartedAt) {
		t.Errorf("%s", text)
	}
	if err := prompt.NewJobReport(w, time.Now(), nil, 0).Write(filepath.Join(dir, "none")); exitcode.From(err) != exitcode.SiteNoSpace {
		t.Errorf("got %v", err)
	}
}
