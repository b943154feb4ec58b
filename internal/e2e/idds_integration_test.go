//go:build integration

package e2e_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/rest"
	"tfpilot/internal/testbed"
)

// joinChain is a chain on a real broker; the tests' namespace is the broker's alone.
func joinChain(tb testing.TB, addr string) *chain {
	tb.Helper()
	stack, err := testbed.NewStack(tb.TempDir(), bin(tb))
	must(tb, err)
	tb.Cleanup(stack.StopAll)
	c := &chain{}
	c.Chain, err = testbed.JoinChain(stack, namespace, addr)
	must(tb, err)
	c.Login, c.Passcode, c.HeartBeat = "panda", "panda", time.Second
	c.link, err = broker.New(broker.Config{
		Addrs: []string{addr}, Login: c.Login, Passcode: c.Passcode, Tuning: broker.Tuning{HeartBeat: c.HeartBeat, EarlyCap: time.Second},
	})
	must(tb, err)
	background(tb, c.link.Run)
	return c
}

func TestIntegrationArtemisRestartsOfTheBrokerLoseNothing(t *testing.T) {
	t.Parallel()
	b := newOwnBroker(t)
	c := joinChain(t, b.addr)
	must(t, c.StartIDDS(t.Context()))
	const n = 120
	var answered atomic.Int64
	c.workers(t, &answered)
	want := c.fated(t, n, func(i int) {
		if i != n/3 && i != 2*n/3 {
			return
		}
		before := answered.Load()
		await(t, "answers", func() bool { return answered.Load() > before })
		b.kill()
		b.again()
	})
	c.endFated(t, want)
}

func TestIntegrationClassicASliceThatTakesThreeWorkersDownFails(t *testing.T) {
	t.Parallel()
	addr := os.Getenv("TFPILOT_TEST_CLASSIC")
	if addr == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatal("TFPILOT_TEST_CLASSIC names no broker; `make test/integration` starts one")
		}
		t.Skip("TFPILOT_TEST_CLASSIC names no broker; `make test/integration` starts one")
	}
	c := joinChain(t, addr)
	must(t, c.StartIDDS(t.Context(), "--lost-after", "2s"))
	m := slice(0)
	c.publish(t, m)
	c.until(t, "the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	token, _, err := c.Secret("pilot.token")
	must(t, err)
	pilots := rest.New(rest.Config{Base: c.IDDS, Token: token})
	for _, id := range []string{"p1", "p2", "p3"} { // each held it, and was not heard of again
		must(t, pilots.Post(soon(t), "/v1/workers", document.WorkerReport{
			PilotID: id, Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: time.Now(), HeartbeatSeconds: 0.1,
			InHand: []document.SliceInHand{{Identity: m.Content.Identity(), RunID: run, Attempt: 1, Since: time.Now(), RunningSince: time.Now()}},
		}, new(document.WorkerReply)))
	}
	c.endRun(t, 1)
	c.check(t, document.SliceCounts{Published: 1, Failed: 1})
	w := c.take(t) // it is still on the queue, and not to be left there
	c.mustWork(t, w, good)
	c.until(t, "the correction", func(c document.RunCheck) bool { return c.Slices.Done == 1 && c.Slices.Corrected == 1 })
}
