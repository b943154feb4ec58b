//go:build integration

package e2e_test

import (
	"strings"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/testbed"
)

// The other way round: the production client and a worker in Python (testdata/peer) on our idds and, as the producer, our daq.

func TestIntegrationAPythonWorkerOnOurIDDSAndTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	pythonWorkerDoesARun(t, newChain(t).Chain)
}

func TestIntegrationArtemisAPythonWorkerOnOurIDDS(t *testing.T) {
	t.Parallel()
	p := artemis(t)
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	c, err := testbed.JoinChain(stack, p.namespace, p.addr)
	must(t, err)
	c.Login, c.Passcode = p.login, p.passcode
	pythonWorkerDoesARun(t, c)
}

// pythonWorkerDoesARun: two workers, who report nothing and whose failures do not say what failed, take a run to its end.
func pythonWorkerDoesARun(t *testing.T, c *testbed.Chain) {
	t.Helper()
	must(t, c.StartIDDS(t.Context()))
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "2", "--frames", "20", "--slices-per-sample", "8", "--stf-interval", "100ms"))
	for range 2 {
		startPythonWorker(t, c)
	}
	var check document.RunCheck
	await(t, "the run to be closed", func() bool {
		var err error
		check, err = c.Client().Check(soon(t), run)
		return err == nil && check.State == document.RunClosed
	})
	// Two slices of eight fail in each STF, and are sent again: by us, since these workers know of no attempts.
	if got, want := check.Slices, (document.SliceCounts{Published: 16, Done: 16, Retried: 4}); !check.OK || got != want {
		t.Errorf("got %+v, want %+v, problems %v\n%s", got, want, check.Problems, readFile(t, c.Path("logs", "idds.log")))
	}
	if check.Latency.SliceResult.P95 <= 0 {
		t.Errorf("no latency from a worker's naive times: %+v", check.Latency)
	}
}

// startPythonWorker starts a worker that asks our idds for its brokers, as it would ask PanDA.
func startPythonWorker(t *testing.T, c *testbed.Chain) {
	t.Helper()
	status, token, stderr := tool(t, "idds", "token", "--state", c.Path("idds"), "pilot")
	if status != 0 {
		t.Fatal(stderr)
	}
	startPython(t, []string{run, c.Namespace, "60", "fail"}, // it would wait for a stop message whose run id is a number
		"PANDA_URL_SSL="+c.IDDS+"/server/panda", "PANDA_URL="+c.IDDS+"/server/panda",
		"PANDA_AUTH=oidc", "PANDA_AUTH_VO=EIC", "PANDA_AUTH_ID_TOKEN="+strings.TrimSpace(token), "PANDA_BEHIND_REAL_LB=true")
}
