//go:build integration

package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
	"tfpilot/internal/testbed"
	"tfpilot/internal/testkit"
)

// The production system's own clients, from PyPI, ask our idds for workers as they ask an iDDS.

// productionPython is an interpreter with iDDS' client, PanDA's and stomp.py.
func productionPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("TFPILOT_TEST_PRODUCTION")
	if python == "" {
		const how = "set TFPILOT_TEST_PRODUCTION to what scripts/python.sh internal/e2e/testdata/production/requirements.txt prints"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return python
}

// idsToken is a token of the state folder.
func idsToken(t *testing.T, c *testbed.Chain, role string) string {
	t.Helper()
	status, token, stderr := tool(t, "idds", "token", "--state", c.Path("idds"), role)
	if status != 0 {
		t.Fatal(stderr)
	}
	return strings.TrimSpace(token)
}

func TestIntegrationTheClientsOfIDDSAndPanDAAskOurIDDSForWorkers(t *testing.T) {
	t.Parallel()
	python, c := productionPython(t), newChain(t).Chain
	must(t, c.StartIDDS(t.Context(), "--demand-from", ledger.WorkflowTask))
	script, err := filepath.Abs("testdata/production/client.py")
	must(t, err)
	said := proc.NewCapture(16<<10, 16<<10)
	home := t.TempDir()
	res, err := proc.Run(soon(t), proc.Command{
		Path: python, Args: []string{"-W", "ignore", script, c.IDDS, run}, Dir: home, Stdout: said, Stderr: said,
		Env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TFPILOT_TEST_OPERATOR=" + idsToken(t, c, "operator"), "TFPILOT_TEST_PILOT=" + idsToken(t, c, "pilot"),
		},
	})
	if must(t, err); res.ExitCode != 0 {
		t.Fatalf("status %d: %s", res.ExitCode, said)
	}
	check, err := c.Client().Check(soon(t), run)
	if must(t, err); check.Workers != 36 {
		t.Errorf("%d workers", check.Workers)
	}
}

func TestIntegrationAPythonTransceiverOnOurIDDSAndTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	pythonTransceiverDoesARun(t, newChain(t).Chain)
}

func TestIntegrationArtemisAPythonTransceiverOnOurIDDS(t *testing.T) {
	t.Parallel()
	p := artemis(t)
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	c, err := testbed.JoinChain(stack, p.namespace, p.addr)
	must(t, err)
	c.Login, c.Passcode = p.login, p.passcode
	pythonTransceiverDoesARun(t, c)
}

// pythonTransceiverDoesARun: transceiver and worker are Python's; only our idds, and our daq as the producer, stand between them.
func pythonTransceiverDoesARun(t *testing.T, c *testbed.Chain) {
	t.Helper()
	python := productionPython(t)
	must(t, c.StartIDDS(t.Context(), "--demand-from", ledger.WorkflowTask, "--stop-sender", ledger.Other, "--take-over-after", "10m"))
	script, err := filepath.Abs("testdata/production/transceiver.py")
	must(t, err)
	said, errs := proc.NewCapture(16<<10, 1<<10), proc.NewCapture(8<<10, 8<<10)
	ctx, cancel := context.WithCancel(t.Context())
	p, err := proc.Start(ctx, proc.Command{
		Path: python, Args: []string{script, c.Broker, c.Login, c.Namespace, run, "1.2", "1.5"}, Dir: t.TempDir(), Stdout: said, Stderr: errs, Grace: time.Second,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TFPILOT_TEST_PASSCODE=" + c.Passcode},
	})
	must(t, err)
	ended := make(chan int, 1)
	go func() {
		res, _ := p.Wait()
		ended <- res.ExitCode
	}()
	t.Cleanup(cancel)
	await(t, "the transceiver to listen", func() bool { return strings.Contains(said.String(), "listening") })
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "1", "--frames", "20", "--slices-per-sample", "8", "--stf-interval", "100ms", "--target-worker-count", "10"))
	startPythonWorker(t, c)
	var check document.RunCheck
	await(t, "the run to be closed", func() bool {
		var err error
		check, err = c.Client().Check(soon(t), run)
		return err == nil && check.State == document.RunClosed
	})
	select {
	case status := <-ended:
		if status != 0 {
			t.Errorf("status %d", status)
		}
	case <-soon(t).Done():
		t.Error("the transceiver does not leave")
	}
	var replies []map[string]any
	for line := range strings.Lines(said.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil {
			replies = append(replies, m)
		}
	}
	reply := func(kind string, cores, workers, status any) map[string]any {
		return map[string]any{
			"msg_type": kind, "run_id": run, "request_id": 1.0, "transform_id": 1.0, "workload_id": 1.0, "core_count": cores, "num_workers": workers, "status": status,
		}
	}
	want := []map[string]any{
		reply(message.TypeCreatedWorkflowTask, nil, nil, nil), reply(message.TypeAdjustedWorker, 12.0, 12.0, nil), reply(message.TypeAdjustedWorker, 15.0, 15.0, nil),
		reply(message.TypeClosedWorkflowTask, nil, nil, message.TaskToCancel),
	}
	if diff := cmp.Diff(want, replies); diff != "" {
		t.Errorf("%s\n%s", diff, errs)
	}
	if got, want := check.Slices, (document.SliceCounts{Published: 8, Done: 8, Retried: 2}); !check.OK || got != want || check.Workers != 15 {
		t.Errorf("%d workers, got %+v, want %+v, problems %v\n%s", check.Workers, got, want, check.Problems, readFile(t, c.Path("logs", "idds.log")))
	}
	status, actors, stderr := tool(t, "idds", "doctor", "--state", c.Path("idds"), "--broker-addr", testkit.Nobody(t), "--output", "json")
	if !strings.Contains(actors, "nobody else was seen to do a duty of idds") {
		t.Errorf("%d: %s %s", status, actors, stderr)
	}
}
