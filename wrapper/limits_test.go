package wrapper_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/wrapper"
)

func TestTooMuchMemoryIsToldApartFromOtherKills(t *testing.T) {
	t.Parallel()
	spec := shell("exec tail /dev/zero")
	spec.MemoryMB = 100
	mustFail(t, work(t, spec, slice(t, `{}`)), exitcode.PayloadMemory, "test: out of memory: ")
	spec = shell("kill -KILL $$")
	spec.MemoryMB = 100
	mustFail(t, work(t, spec, slice(t, `{}`)), exitcode.PayloadCrashed, "signal, killed, which was not ours; the kernel reports no lack of memory")
	spec = shell("x=$(head -c 10000000 /dev/zero | tr '\\0' x)" + result)
	spec.MemoryMB = 100
	mustBeDone(t, work(t, spec, slice(t, `{}`)))
}

func TestWhatHoldsAPayloadIsKnown(t *testing.T) {
	t.Parallel()
	w := newWrapper(t, shell(result), wrapper.Config{WorkDir: t.TempDir(), Containment: "session"})
	if used, why, err := w.Containment(t.Context()); used != "session" || why != "" || err != nil {
		t.Errorf("%s, %q, %v", used, why, err)
	}
	w = newWrapper(t, shell(result), wrapper.Config{WorkDir: t.TempDir()})
	used, why, err := w.Containment(t.Context())
	if err != nil || used == "auto" || used == "" || (used == "session") != strings.Contains(why, "no cgroup: ") {
		t.Errorf("%s, %q, %v", used, why, err)
	}
	if used, _, err := newWrapper(t, sleeping(time.Second, time.Minute), wrapper.Config{WorkDir: t.TempDir()}).Containment(t.Context()); used != "" || err != nil {
		t.Errorf("a timer is held by %s, %v", used, err)
	}
}

// The payload has all its processes measured, and the largest of them.
func TestWhatAPayloadTookIsMeasured(t *testing.T) {
	t.Parallel()
	w := newWrapper(t, shell(`x=$(head -c 40000000 /dev/zero | tr '\0' x); sleep 1.5`+result), wrapper.Config{WorkDir: t.TempDir(), Trace: true})
	o := w.Run(t.Context(), slice(t, `{}`)) // looked at often: once a second may be too late on a busy machine
	mustBeDone(t, o)
	if u := o.Usage(); u == nil || u.ReadBytes < 40e6 || u.WrittenBytes < 80e6 || u.PeakBytes < 39e6 || u.WallSeconds < 1.5 || u.UserSeconds <= 0 || u.Cores != 1 {
		t.Errorf("%+v", u)
	}
	if u := o.Result.Usage; u.PeakBytes < 39_000_000 || u.Processes < 2 || u.User+u.System <= 0 {
		t.Errorf("%+v", u)
	}
}
