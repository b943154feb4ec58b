package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/program"
	"tfpilot/payload"
	"tfpilot/payload/synthetic"
	"tfpilot/wrapper"
)

// TestMain makes the test binary the program itself when a payload starts it: by then it has the variables of a slice.
func TestMain(m *testing.M) {
	if os.Getenv("TFPILOT_CONTRACT") != "" {
		os.Exit(program.Main(app())) //nolint:forbidigo // in a process of its own, as main does
	}
	m.Run()
}

// fake runs the synthetic payload as a pilot would.
func fake(t *testing.T, s payloadfile.Synthetic, timeout time.Duration) wrapper.Outcome {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := payloadfile.Spec{
		Name: "fake", Kind: payloadfile.KindSynthetic, Synthetic: s,
		Timeout: timeout, Grace: 50 * time.Millisecond,
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := synthetic.New(spec, self)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wrapper.New(spec, p, p, wrapper.Config{WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w.Run(t.Context(), message.Slice{
		RunID:   message.Run("1"),
		Content: message.SliceContent{ReqID: "r1", Filename: "/no/such/file", Start: message.NewInt(0), End: message.NewInt(9)},
	})
}

func TestEveryModeOfSyntheticDoesWhatItSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script payloadfile.Synthetic
		want   exitcode.Failure
		check  func(wrapper.Outcome) string
	}{
		{payloadfile.Synthetic{Mode: "noop"}, exitcode.OK, func(o wrapper.Outcome) string {
			if o.Result.Counts["frames"] != 10 || o.Result.Usage.Wall != 0 {
				return "a process, or no frames"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "sleep", Duration: 20 * time.Millisecond}, exitcode.OK, func(o wrapper.Outcome) string {
			if o.Ended.Sub(o.Started) < 20*time.Millisecond {
				return "too short"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "burn", Duration: 100 * time.Millisecond}, exitcode.OK, func(o wrapper.Outcome) string {
			if o.Result.Usage.Wall < 100*time.Millisecond || o.Result.Usage.User == 0 {
				return "it did not burn"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "grow", SizeMB: 200}, exitcode.OK, func(o wrapper.Outcome) string {
			if o.Result.Usage.MaxRSSBytes < 200<<20 {
				return "it did not grow"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "print", SizeMB: 10}, exitcode.OK, func(o wrapper.Outcome) string {
			if out := o.Result.Usage.Stdout; !strings.Contains(out, " bytes dropped ...") || len(out) > 40<<10 {
				return "it did not print, or too much was kept"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "crash"}, exitcode.PayloadCrashed, nil},
		{payloadfile.Synthetic{Mode: "hang"}, exitcode.PayloadTimeout, func(o wrapper.Outcome) string {
			if o.Result.Usage.Signal != "killed" {
				return "it did not ignore SIGTERM"
			}
			return ""
		}},
		{payloadfile.Synthetic{Mode: "fail"}, exitcode.PayloadFailed, nil},
		{payloadfile.Synthetic{Mode: "fail", Permanent: true}, exitcode.PayloadPermanent, nil},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.script.Mode, c.want.Name), func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if c.script.Mode == "hang" {
				timeout = 500 * time.Millisecond
			}
			o := fake(t, c.script, timeout)
			if got := exitcode.From(o.Err); got != c.want {
				t.Fatalf("%s: %v", got.Name, o.Err)
			}
			if c.check != nil {
				if wrong := c.check(o); wrong != "" {
					t.Errorf("%s: %+v", wrong, o)
				}
			}
			if c.want == exitcode.OK && len(o.Result.Counts) == 0 {
				t.Error("no counts")
			}
		})
	}
}

func TestTheReconstructionSaysWhyItCannotRead(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := payloadfile.Load("tfreco")
	if err != nil {
		t.Fatal(err)
	}
	p, err := payload.NewCommand(spec, self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "torn.stf"), []byte("root\x00but no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wrapper.New(spec, p, p, wrapper.Config{WorkDir: t.TempDir(), DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	for name, want := range map[string]exitcode.Failure{"missing.stf": exitcode.DataMissing, "torn.stf": exitcode.DataCorrupt} {
		o := w.Run(t.Context(), message.Slice{
			RunID:   message.Run("1"),
			Content: message.SliceContent{ReqID: "r1", Filename: name, Start: message.NewInt(0), End: message.NewInt(9)},
		})
		if got := exitcode.From(o.Err); got != want || !strings.Contains(o.Err.Error(), name) || strings.Contains(o.Err.Error(), "goroutine") {
			t.Errorf("%s: %s: %v", name, got.Name, o.Err)
		}
	}
}
