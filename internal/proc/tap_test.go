package proc_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tfpilot/internal/proc"
)

// What is printed before a turn belongs to the work before it, however busy the machine is: an answer that came afterwards says so.
func TestATapBringsWhatIsPrintedToWhereItBelongs(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := proc.NewCapture(100, 0)
	tap := proc.NewTap(r, was)
	for n := range 100 {
		if _, err := fmt.Fprint(w, n); err != nil {
			t.Fatal(err)
		}
		now := proc.NewCapture(100, 0)
		tap.Turn(now)
		if was.String() != fmt.Sprint(n) {
			t.Fatalf("%q was printed, not %d", was, n)
		}
		was = now
	}
	if _, err := fmt.Fprint(w, "last"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tap.Close(time.Now().Add(time.Minute))
	if was.String() != "last" {
		t.Errorf("%q", was)
	}
}

func TestATapWhoseOtherEndIsHeldIsClosedInTime(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	proc.NewTap(r, proc.NewCapture(0, 0)).Close(time.Now())
}
