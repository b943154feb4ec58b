package payloadlog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tfpilot/internal/message"
	"tfpilot/internal/payloadlog"
)

// named is a slice of run 7/a, whose identity is no file name.
func named() message.Slice {
	return message.Slice{RunID: message.Run("7/a"), Content: message.SliceContent{ReqID: "../x y"}}
}

func TestWhatWasPrintedIsFoundByItsSlice(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	l := payloadlog.Folder{Dir: dir, SizeBytes: 1 << 20, TotalBytes: 1 << 20}.Open(3, named())
	stdout, _ := l.Writers()
	if _, err := stdout.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if files, err := l.Close(true); err != nil || len(files) != 1 {
		t.Fatalf("kept %v, %v; want the one stream that something was printed to", files, err)
	}
	logs, err := payloadlog.List(dir)
	if err != nil || len(logs) != 1 {
		t.Fatalf("%+v, %v", logs, err)
	}
	var text bytes.Buffer
	if err := logs[0].CopyTo(&text); err != nil || text.String() != "hello" {
		t.Errorf("%q, %v", text.String(), err)
	}
	if got := logs[0]; !got.IsOf(named()) || !got.Complete || got.Slot != 3 || got.Attempt != 1 || got.Stream != "out" {
		t.Errorf("%+v", got)
	}
	other := named()
	other.Content.ReqID = "y"
	if logs[0].IsOf(other) {
		t.Error("it is taken for another slice's")
	}
}

func TestWhoWantsNoLogsHasNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("Discarded", func(t *testing.T) {
		t.Parallel()
		l := payloadlog.Folder{Dir: payloadlog.None, All: true}.Between(0)
		stdout, stderr := l.Writers()
		_, _ = stdout.Write([]byte("a"))
		_, _ = stderr.Write([]byte("b"))
		if files, err := l.Close(true); err != nil || len(files) > 0 {
			t.Errorf("%v, %v", files, err)
		}
	})
	t.Run("RemovedWhenDone", func(t *testing.T) {
		t.Parallel()
		l := payloadlog.Folder{Dir: dir, SizeBytes: 1 << 20, TotalBytes: 1 << 20}.Open(0, named())
		stdout, _ := l.Writers()
		_, _ = stdout.Write([]byte("a"))
		if files, err := l.Close(false); err != nil || len(files) > 0 {
			t.Errorf("%v, %v", files, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	})
}

func TestAFolderThatIsNotThereHasNoLogs(t *testing.T) {
	t.Parallel()
	if logs, err := payloadlog.List(filepath.Join(t.TempDir(), "none")); err != nil || len(logs) > 0 {
		t.Errorf("%v, %v", logs, err)
	}
	if _, ok := payloadlog.At("notes.txt"); ok {
		t.Error("notes are taken for a log")
	}
}
