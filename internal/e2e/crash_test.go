package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/testbed"
	"tfpilot/internal/testkit"
)

var await = testkit.Await

// payloadFile writes the TOML of a shell payload.
func payloadFile(tb testing.TB, script string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "payload.toml")
	must(tb, os.WriteFile(path, []byte("name = \"script\"\nkind = \"command\"\ncommand = [\"sh\", \"-c\", "+strconv.Quote(script)+"]\n"), 0o600))
	return path
}

const counts = `printf '{"counts":{"events":1}}' > $TFPILOT_RESULT`

// runImminent and endRun frame the test's own slices.
func (c *chain) runImminent(tb testing.TB, workers int64) {
	tb.Helper()
	c.announce(tb, message.TypeRunImminentWorker, message.RunImminentWorker{
		MsgType: message.TypeRunImminentWorker, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.RunImminentWorkerContent{
			RunMessage:        message.RunMessage{MsgType: message.TypeRunImminent, RunID: message.Run(run)},
			TargetWorkerCount: message.NewInt(workers),
		},
	})
}

func (c *chain) endRun(tb testing.TB, slices int64) {
	tb.Helper()
	c.announce(tb, message.TypeEndRun, message.EndRun{
		MsgType: message.TypeEndRun, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.RunMessage{MsgType: message.TypeEndRun, RunID: message.Run(run), TotalSlices: message.NewInt(slices)},
	})
}

func (c *chain) announce(tb testing.TB, msgType string, document any) {
	tb.Helper()
	body, err := json.Marshal(document)
	must(tb, err)
	must(tb, c.link.Publish(soon(tb), broker.Out{
		Destination: message.TopicWorkers, Body: body, Headers: []string{"persistent", "true", "msg_type", msgType, "run_id", run, "namespace", namespace},
	}))
}

// check waits until the run is closed and holds its accounting to what is expected.
func (c *chain) check(tb testing.TB, want document.SliceCounts) document.RunCheck {
	tb.Helper()
	var check document.RunCheck
	await(tb, "the run to be closed", func() bool {
		var err error
		check, err = c.Client().Check(soon(tb), run)
		return err == nil && check.State == document.RunClosed
	})
	got := check.Slices
	if !check.OK || got.Published != want.Published || got.Done != want.Done || got.Failed != want.Failed || got.Outstanding != 0 {
		tb.Errorf("got %+v, problems %v, want %+v", got, check.Problems, want)
	}
	return check
}

// held is how many slices living pilots report to hold.
func (c *chain) held(tb testing.TB) (n int, pid int) {
	tb.Helper()
	workers, err := c.Client().Workers(soon(tb))
	must(tb, err)
	for _, w := range workers {
		if w.Alive && len(w.InHand) > 0 {
			n += len(w.InHand)
			pid = w.PID
		}
	}
	return n, pid
}

func TestAPilotKilledInTheMiddleOfASliceCostsNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	gate := filepath.Join(t.TempDir(), "gate")
	c.runImminent(t, 2)
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", payloadFile(t, "until [ -e "+gate+" ]; do sleep 0.02; done; "+counts)))
	const n = 6
	for i := range n {
		c.publish(t, slice(i))
	}
	c.endRun(t, n)
	var pid int
	await(t, "pilots with slices", func() bool {
		held, p := c.held(t)
		pid = p
		return held == 2
	})
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	must(t, os.WriteFile(gate, nil, 0o600))
	got := c.check(t, document.SliceCounts{Published: n, Done: n})
	if got.Counts["events"] != n {
		t.Errorf("%d events, want %d", got.Counts["events"], n)
	}
}

func TestAKilledPayloadIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	c.runImminent(t, 1)
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--payload", payloadFile(t, `[ $TFPILOT_ATTEMPT -gt 1 ] || kill -9 $$; `+counts)))
	const n = 3
	for i := range n {
		c.publish(t, slice(i))
	}
	c.endRun(t, n)
	if got := c.check(t, document.SliceCounts{Published: n, Done: n}); got.Slices.Retried != n {
		t.Errorf("%d retried, want %d", got.Slices.Retried, n)
	}
	<-c.Ended("pilot")
	if res, err := c.Result("pilot"); err != nil || res.ExitCode != 0 {
		t.Errorf("the pilot ended with %d, %v", res.ExitCode, err)
	}
}

func TestIDDSKilledAndStartedAgainOnTheSameStateLosesNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	c.runImminent(t, 1)
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--slots", "4", "--payload", payloadFile(t, "sleep 0.02; "+counts)))
	const n = 60
	for i := range n {
		c.publish(t, slice(i))
		if i == n/2 {
			await(t, "the first results", func() bool {
				r, err := c.Client().Run(soon(t), run)
				return err == nil && r.Slices.Done > 0
			})
			must(t, syscall.Kill(c.PID("idds"), syscall.SIGKILL))
			<-c.Ended("idds")
		}
	}
	must(t, c.StartIDDS(t.Context()))
	c.endRun(t, n)
	got := c.check(t, document.SliceCounts{Published: n, Done: n})
	if got.Counts["events"] != n || got.Slices.Unexplained != 0 {
		t.Errorf("%d events, %d unexplained duplicates", got.Counts["events"], got.Slices.Unexplained)
	}
}

// The end of a run is told while idds is away, and the broker dies before it is back.
func TestTheEndOfARunOutlivesABrokerThatIsKilledWhileIDDSIsAway(t *testing.T) {
	t.Parallel()
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	c, err := testbed.JoinChain(stack, namespace, "")
	must(t, err)
	state := []string{"--state", stack.Path("broker")}
	must(t, c.StartBroker(t.Context(), state...))
	must(t, c.StartIDDS(t.Context()))
	must(t, c.Kill("idds"))
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "1", "--frames", "20", "--slices-per-sample", "5", "--wait-results", "1ms"))
	<-c.Ended("daq")
	must(t, c.Kill("broker"))
	must(t, c.StartBroker(t.Context(), state...))
	must(t, c.StartIDDS(t.Context()))
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--payload", "synthetic"))
	(&chain{Chain: c}).check(t, document.SliceCounts{Published: 5, Done: 5})
}

func TestADAQKilledAndStartedAgainPublishesTheSameSlices(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	args := []string{
		"--stf-count", "6", "--frames", "20", "--slices-per-sample", "5", "--target-worker-count", "1", "--stf-interval", "200ms",
	}
	must(t, c.StartDAQ(t.Context(), run, args...))
	await(t, "half of the run", func() bool {
		r, err := c.Client().Run(soon(t), run)
		return err == nil && r.Slices.Published >= 10
	})
	must(t, syscall.Kill(c.PID("daq"), syscall.SIGKILL)) // as long as nobody works it has results to wait for
	<-c.Ended("daq")
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", "synthetic"))
	must(t, c.StartDAQ(t.Context(), run, args...))
	c.check(t, document.SliceCounts{Published: 30, Done: 30})
	<-c.Ended("daq")
	if res, err := c.Result("daq"); err != nil || res.ExitCode != 0 {
		t.Errorf("daq ended with %d, %v", res.ExitCode, err)
	}
}

func TestAKilledHarvesterStartedAgainKeepsTheRunGoing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	c.runImminent(t, 2)
	payload := payloadFile(t, "sleep 0.05; "+counts)
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", payload))
	const n = 30
	for i := range n {
		c.publish(t, slice(i))
	}
	c.endRun(t, n)
	await(t, "the first results", func() bool {
		r, err := c.Client().Run(soon(t), run)
		return err == nil && r.Slices.Done > 2
	})
	must(t, syscall.Kill(c.PID("harvester"), syscall.SIGKILL))
	<-c.Ended("harvester")
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", payload))
	if got := c.check(t, document.SliceCounts{Published: n, Done: n}); got.Counts["events"] != n {
		t.Errorf("%d events", got.Counts["events"])
	}
}
