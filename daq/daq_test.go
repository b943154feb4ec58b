package daq_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/runplan"
	"tfpilot/internal/stf"
)

func TestARunGoesThroughTheWholeChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, done)
	c := config(t)
	report, err := w.start(t.Context(), t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	if report.STFs != 2 || report.Published != 8 || report.Done != 8 || report.Unanswered != 0 {
		t.Errorf("report %+v", report)
	}
	for len(w.epicTypes()) < 11 { // the last of them may be on its way
		<-w.seen
	}
	taken := []string{"stf_gen", "stf_ready", "tf_file_registered", "tf_file_registered"}
	want := slices.Concat([]string{"run_imminent", "start_run"}, taken, taken, []string{"end_run"})
	if diff := cmp.Diff(want, w.epicTypes()); diff != "" {
		t.Error(diff)
	}
	for len(w.endRuns()) == 0 {
		<-w.seen
	}
	if got := w.endRuns()[0].Content.TotalSlices.Int64(); got != 8 {
		t.Errorf("end_run says %d slices", got)
	}

	seen := map[string]bool{}
	covered := map[string]int{}
	for _, s := range w.taken() {
		content := s.Content
		if seen[content.Identity()] {
			t.Errorf("slice %s twice", content.Identity())
		}
		seen[content.Identity()] = true
		covered[content.Filename] += content.Frames()
		if content.AttemptNumber() != 1 || content.FirstCreatedAt.IsZero() || content.STFCreatedAt.IsZero() || content.State != "queued" {
			t.Errorf("content %+v", content)
		}
		size, sum, err := stf.Checksum(content.Filename)
		if err != nil || size != content.Size.Int64() || sum != content.Adler32 {
			t.Errorf("file %s: %d %s, message %d %s, %v", content.Filename, size, sum, content.Size.Int64(), content.Adler32, err)
		}
		if want := runplan.ReqID("test", "100001", content.TFFilename, int(content.SliceID.Int64())); string(content.ReqID) != want {
			t.Errorf("req_id %s, want %s", content.ReqID, want)
		}
	}
	data := func(n int) string { return filepath.Join(c.Data, "swf.100001.00000"+strconv.Itoa(n)+".stf") }
	if diff := cmp.Diff(map[string]int{data(1): 10, data(2): 10}, covered); diff != "" {
		t.Error(diff)
	}
}

func TestAFailedSliceIsCountedAndNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s message.Slice) *message.SliceResult {
		if s.Content.SliceID.Int64() == 2 {
			return failed(s, false)
		}
		return done(s)
	})
	report, err := w.start(t.Context(), t.TempDir(), config(t))
	if exitcode.From(err) != exitcode.SliceFailed {
		t.Errorf("got %v", err)
	}
	if report.Done != 6 || report.Failed != 2 {
		t.Errorf("report %+v", report)
	}
}

func (w *world) taken() []message.Slice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.slices)
}

func (w *world) epicTypes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.epic)
}

func (w *world) endRuns() []message.EndRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ends)
}
