//go:build integration

package wrapper_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper"
)

// inImage is a payload in Python on the image that scripts/containers.sh makes, in bubblewrap.
func inImage(t *testing.T, kind payloadfile.Kind, program string) payloadfile.Spec {
	t.Helper()
	containers := os.Getenv("TFPILOT_TEST_CONTAINERS")
	switch {
	case containers == "" && os.Getenv("REQUIRE_SERVICES") == "1":
		t.Fatal("TFPILOT_TEST_CONTAINERS is not set, and REQUIRE_SERVICES=1")
	case containers == "":
		t.Skip("set TFPILOT_TEST_CONTAINERS to what scripts/containers.sh prints")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.py"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return payloadfile.Spec{
		Name: "inside", Version: "1", Kind: kind, Command: []string{"python3", "${TFPILOT_PAYLOAD_DIR}/main.py"}, Dir: dir,
		Timeout: time.Minute, Grace: time.Second,
		Container: &container.Spec{Runtime: container.Bubblewrap, Image: filepath.Join(containers, "debian", "root")},
	}
}

const oneshot = `
import json, os, sys
try:
    n = len(open(os.environ["TFPILOT_INPUT"], "rb").read())
except OSError as e:
    print(e, file=sys.stderr)
    sys.exit(20)
json.dump({"counts": {"bytes": n, "extra": len(os.listdir("/extra")) if os.path.isdir("/extra") else 0}}, open(os.environ["TFPILOT_RESULT"], "w"))
`

const stays = `
import json, os, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    q = json.loads(line)
    n = len(open(q["input"], "rb").read())
    open(os.path.join(q["dir"], "out"), "w").write("x")
    print(json.dumps({"req_id": q["req_id"], "status": 0, "result": {"counts": {"bytes": n, "process": os.getpid()}}}), flush=True)
`

func TestIntegrationAPayloadInAContainerFindsItsInputAndWhatTheSiteBinds(t *testing.T) {
	t.Parallel()
	spec := inImage(t, payloadfile.KindCommand, oneshot)
	data, extra := t.TempDir(), t.TempDir()
	for _, file := range []string{filepath.Join(data, "x.stf"), filepath.Join(extra, "a"), filepath.Join(extra, "b")} {
		if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link.stf") // to a folder that nobody has bound
	if err := os.Symlink(filepath.Join(data, "x.stf"), link); err != nil {
		t.Fatal(err)
	}
	w := containerized(t, spec, wrapper.Config{WorkDir: t.TempDir(), DataDir: data, ContainerOptions: "-B " + extra + ":/extra:ro --nv-is-not-for-bubblewrap"})
	if used, why, err := w.Container(t.Context()); err != nil || !strings.HasPrefix(used, "bubblewrap ") || why != "" {
		t.Errorf("%q, %q, %v", used, why, err)
	}
	for over, want := range map[string]int64{`{}`: 5, `{"filename":"` + link + `"}`: 5} {
		if o := w.Run(t.Context(), slice(t, over)); o.Err != nil || o.Result.Counts["bytes"] != want || o.Result.Counts["extra"] != 2 {
			t.Errorf("%s: %v, %v\n%s", over, o.Err, o.Result.Counts, o.Result.Usage.Stderr)
		}
	}
	if o := w.Run(t.Context(), slice(t, `{"filename":"not-there.stf"}`)); exitcode.From(o.Err) != exitcode.DataMissing {
		t.Errorf("an input that is not there: %v", o.Err)
	}
}

func TestIntegrationAPayloadThatStaysInAContainerSeesItsSlices(t *testing.T) {
	t.Parallel()
	spec := inImage(t, payloadfile.KindResident, stays)
	data := t.TempDir()
	w := containerized(t, spec, wrapper.Config{WorkDir: t.TempDir(), DataDir: data})
	if err := os.WriteFile(filepath.Join(data, "x.stf"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := w.Run(t.Context(), slice(t, `{}`))
	second := w.Run(t.Context(), slice(t, `{"req_id":"r2"}`))
	if first.Err != nil || second.Err != nil || first.Result.Counts["bytes"] != 5 || first.Result.Counts["process"] != second.Result.Counts["process"] {
		t.Errorf("%v, %v, %v, %v", first.Err, second.Err, first.Result.Counts, second.Result.Counts)
	}
	elsewhere := filepath.Join(t.TempDir(), "y.stf")
	o := w.Run(t.Context(), slice(t, `{"req_id":"r3","filename":"`+elsewhere+`"}`))
	if exitcode.From(o.Err) != exitcode.BadConfig || !strings.Contains(exitcode.Next(o.Err), "--data-dir") {
		t.Errorf("an input that it cannot see: %v", o.Err)
	}
}

func TestIntegrationAnImageThatGoesAwayIsAFailureOfTheSite(t *testing.T) {
	t.Parallel()
	spec := inImage(t, payloadfile.KindCommand, oneshot)
	spec.Container.Image = filepath.Join(t.TempDir(), "image")
	if err := os.MkdirAll(filepath.Join(spec.Container.Image, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := containerized(t, spec, wrapper.Config{WorkDir: t.TempDir()})
	if _, _, err := w.Container(t.Context()); err != nil {
		t.Errorf("what is tried needs nothing of an image: %v", err)
	}
	if err := os.RemoveAll(spec.Container.Image); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]error{"a slice": w.Run(t.Context(), slice(t, `{}`)).Err, "a pilot's start": newError(spec)} {
		if exitcode.From(got).Class != exitcode.ClassSite {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func newError(spec payloadfile.Spec) error {
	_, err := wrapper.New(spec, nil, nil, wrapper.Config{})
	return err
}

// containerized is a wrapper that is closed at the end of the test.
func containerized(t *testing.T, spec payloadfile.Spec, cfg wrapper.Config) *wrapper.Wrapper {
	t.Helper()
	p, err := kinds.New(spec, "")
	if err != nil {
		t.Fatal(err)
	}
	w, err := wrapper.New(spec, p, nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return w
}
