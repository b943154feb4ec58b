package payload_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// The end of a program says whose fault it was, also where nobody can bring it about in a test.
func TestTheEndOfAProgramSaysWhoseFaultItWas(t *testing.T) {
	t.Parallel()
	killed := proc.Result{ExitCode: -1, Signal: "killed"}
	for name, c := range map[string]struct {
		memoryMB int
		result   keeper.Result
		want     exitcode.Failure
		words    string
	}{
		"its memory, by looking": {
			2000, keeper.Result{Result: killed, Stopped: keeper.ErrMemory, PeakBytes: 2100 << 20}, exitcode.PayloadMemory, "test: out of memory: 2.1 of 2.0 GB",
		},
		"its memory, by the kernel": {
			500, keeper.Result{Result: killed, OutOfMemory: true, PeakBytes: 400 << 20}, exitcode.PayloadMemory, "out of memory: 400 of 500 MB: the kernel killed a process of it",
		},
		"a child of a shell, by the kernel": {
			500, keeper.Result{Result: proc.Result{ExitCode: 1}, OutOfMemory: true}, exitcode.PayloadMemory, "out of memory",
		},
		"the slot's memory, with no need named": {
			0, keeper.Result{Result: killed, SlotOutOfMemory: true, PeakBytes: 3900 << 20}, exitcode.PayloadMemory, "out of memory at 3.9 GB: the slot's is over",
		},
		"the slot's memory, in a child of a shell": {
			0, keeper.Result{Result: proc.Result{ExitCode: 137}, SlotOutOfMemory: true}, exitcode.PayloadMemory, "the slot's is over",
		},
		"the slot's memory, within its need": {
			2000, keeper.Result{Result: killed, SlotOutOfMemory: true, PeakBytes: 1200 << 20}, exitcode.SlotMemory, "which was within its memory_mb = 2000, at 1.2 GB",
		},
		"a failure of its own while another one was out of memory": {
			0, keeper.Result{Result: proc.Result{ExitCode: 11}, SlotOutOfMemory: true}, exitcode.PayloadPermanent, "status 11",
		},
		"taken back": {0, keeper.Result{Result: killed, Stopped: errors.New("the slot is needed")}, exitcode.Interrupted, "the slot is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := payloadfile.Spec{Name: "test", Kind: payloadfile.KindCommand, Command: []string{"/bin/sh"}, Timeout: time.Minute, MemoryMB: c.memoryMB}
			p, err := payload.NewCommand(spec, "")
			if err != nil {
				t.Fatal(err)
			}
			r := payload.Request{Dir: t.TempDir(), Run: func(context.Context, proc.Command, keeper.Limits) (keeper.Result, error) { return c.result, nil }}
			r.Slice.Content = message.SliceContent{Start: message.NewInt(0), End: message.NewInt(9)}
			_, err = p.Run(t.Context(), r)
			if got := exitcode.From(err); got != c.want || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v", got.Name, err)
			}
		})
	}
}
