//go:build integration

package e2e_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
	"tfpilot/internal/testbed"
)

// TestIntegrationTheInterfaceIsWhatItsDocumentSays makes requests of all kinds from the OpenAPI document, good ones and bad ones, and
// wants no failure of the server and no answer that the document does not have.
func TestIntegrationTheInterfaceIsWhatItsDocumentSays(t *testing.T) {
	t.Parallel()
	fuzzer := os.Getenv("TFPILOT_TEST_SCHEMATHESIS")
	if fuzzer == "" {
		const how = "set TFPILOT_TEST_SCHEMATHESIS to what scripts/python.sh internal/e2e/testdata/api/requirements.txt prints; `make test/api` does"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stack, err := testbed.NewStack(t.TempDir(), bin(t))
			must(t, err)
			t.Cleanup(stack.StopAll)
			open, args, _ := storeOf(t, kind, stack.Path("idds"))
			store := open()
			must(t, store.Update(t.Context(), inhabit))
			must(t, store.Close())
			must(t, stack.Start(t.Context(), "broker", "testbed", []string{"broker", "--in-memory", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile("broker")}))
			broker, err := stack.Address(t.Context(), "broker")
			must(t, err)
			must(t, stack.Start(t.Context(), "idds", "idds", append([]string{
				"serve", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile("idds"), "--broker-addr", broker, "--namespace", namespace,
				"--rate-limit", "0", "--run-timeout", "1h",
			}, args...)))
			addr, err := stack.Address(t.Context(), "idds")
			must(t, err)
			env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
			for role, name := range map[string]string{"operator": "TFPILOT_FUZZ_OPERATOR", "pilot": "TFPILOT_FUZZ_PILOT"} {
				status, token, text := tool(t, "idds", "token", "--state", stack.Path("idds"), role)
				if status != 0 {
					t.Fatal(text)
				}
				env = append(env, name+"="+strings.TrimSpace(token))
			}
			config, err := filepath.Abs("testdata/api/schemathesis.toml")
			must(t, err)
			said := proc.NewCapture(4<<10, 256<<10)
			res, err := proc.Run(t.Context(), proc.Command{
				Path:   fuzzer,
				Args:   []string{"-m", "schemathesis.cli", "--config-file", config, "run", "--no-color", "--warnings", "off", "http://" + addr + "/openapi.json"},
				Dir:    t.TempDir(),
				Stdout: said, Stderr: said, Env: env,
			})
			if must(t, err); res.ExitCode != 0 {
				t.Errorf("status %d: %s", res.ExitCode, said)
			}
		})
	}
}

// hostile are names as somebody may send them who means no good.
var hostile = []string{"'; DROP TABLE slice; --", `"><script>alert(1)</script>`, "%_\\", "a/b#c?d", "..", "\u202eevil", "\x00\x1b[31m", strings.Repeat("x", 3000)}

// inhabit puts runs into a store with slices in every state, with pilots, and with names of all kinds.
func inhabit(tx ledger.Tx) error {
	now, rules := time.Now(), ledger.Rules{MaxAttempts: 2}
	h := hist.New1D("h", "<b>title</b>", "", 2, 0, 2)
	h.Fill(1)
	pictures, err := json.Marshal(hist.Set{*h})
	if err != nil {
		return err
	}
	for i, run := range append([]string{"100001", "100002"}, hostile...) {
		for k := range 12 {
			name := hostile[k%len(hostile)]
			m := message.Slice{
				MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(now), Sender: name, Namespace: namespace,
				Content: message.SliceContent{
					ReqID: message.Text("fuzz-" + strconv.Itoa(k)), Filename: name, TFFilename: name, SliceID: message.NewInt(int64(k)), Start: message.NewInt(0),
					End: message.NewInt(9), STFCreatedAt: message.At(now), Size: message.NewInt(1 << 40), Adler32: name,
				},
			}
			if k > 8 { // the identity is hostile too
				m.Content.ReqID = message.Text(name)
			}
			body, err := json.Marshal(m)
			if err != nil {
				return err
			}
			if _, err := rules.Sent(tx, m, body, now); err != nil {
				return err
			}
			if k%4 == 3 {
				continue
			}
			r := message.SliceResult{
				MsgType: message.TypeSliceResult, RunID: m.RunID, Namespace: namespace,
				Content: message.ResultContent{
					State: message.StateDone, ReqID: m.Content.ReqID, PilotID: name, Hostname: name, Counts: map[string]int64{name: 2}, Histograms: pictures,
				},
			}
			if k%4 > 0 {
				r.Content.State, r.Content.Counts, r.Content.Histograms = message.StateFailed, nil, nil
				r.Content.Failure = &message.Failure{Code: k, Name: name, Class: name, Message: name, Retryable: k%4 == 1}
			}
			if err := rules.Result(tx, r, now); err != nil {
				return err
			}
		}
		name := hostile[i%len(hostile)]
		if i == 0 {
			name = "pilot-0"
		}
		w := document.WorkerReport{
			PilotID: name, Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: now, StartedAt: now, Hostname: name, Hold: name,
			InHand: []document.SliceInHand{{Identity: "fuzz-3", RunID: run, Attempt: 1, Since: now}}, WorkerID: name, BatchID: name,
		}
		if err := errors.Join(tx.PutWorker(w, now), tx.PutActor(document.Actor{Namespace: namespace, Duty: "stop", Sender: name, Count: 1, RunID: run})); err != nil {
			return err
		}
	}
	return nil
}
