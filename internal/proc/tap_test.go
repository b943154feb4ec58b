package proc_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/proc"
)

// What is printed before a turn belongs to the work before it, however busy the machine is: an answer that came afterwards says so.
func TestATapBringsWhatIsPrintedToWhereItBelongs(t *testing.T) {
	t.Parallel()
	was := proc.NewCapture(100, 0)
	tap, err := proc.NewTap(was)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := fmt.Fprint(tap.Theirs, n); err != nil {
			t.Fatal(err)
		}
		now := proc.NewCapture(100, 0)
		tap.Turn(now)
		if was.String() != fmt.Sprint(n) {
			t.Fatalf("%q was printed, not %d", was, n)
		}
		was = now
	}
	if _, err := fmt.Fprint(tap.Theirs, "last"); err != nil {
		t.Fatal(err)
	}
	tap.Close(time.Now().Add(time.Minute))
	if was.String() != "last" {
		t.Errorf("%q", was)
	}
}

func TestATapWhoseOtherEndIsHeldIsClosedInTime(t *testing.T) {
	t.Parallel()
	tap, err := proc.NewTap(proc.NewCapture(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	held, err := unix.Dup(int(tap.Theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(held) }()
	tap.Close(time.Now())
}
