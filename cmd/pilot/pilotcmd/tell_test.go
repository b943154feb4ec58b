package pilotcmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestIddsGetsTheLinesOfAPilotUnderTheNameOfItsReports(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2") // or it would be one for all tests
	var mu sync.Mutex
	var lines []document.LogRecord
	names := map[string]bool{}
	idds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch document.LogBatch
		var report document.WorkerReport
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/v1/logs" && json.NewDecoder(r.Body).Decode(&batch) == nil {
			lines = append(lines, batch.Records...)
		} else if json.NewDecoder(r.Body).Decode(&report) == nil {
			names[report.PilotID] = true
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer idds.Close()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, ln) }()
	defer func() { cancel(); must(t, <-served) }()
	entry := func(destination string) string {
		return fmt.Sprintf("{destination = %q, brokers = [%q], username = \"\", password = \"\"}\n", destination, ln.Addr())
	}
	brokers := file(t, "transformer_broker = "+entry(message.QueueSlicesWorkers)+"transformer_broadcast_broker = "+entry(message.TopicTransformer)+
		"result_broker = "+entry(message.TopicResults), 0o600)
	args := []string{
		"run", "--idds", idds.URL, "--token-file", file(t, "s3cr3t-token", 0o600), "--broker-config", brokers, "--payload", "synthetic", "--run", "100001",
		"--first-slice-timeout", "50ms", "--journal-dir", t.TempDir(), "--work-dir", t.TempDir(),
	}
	status, stdout, stderr := command(t, args...)
	mu.Lock()
	defer mu.Unlock()
	if status == 0 || len(lines) == 0 || len(names) != 1 || !names[lines[0].Component] || lines[0].Role != "pilot" {
		t.Errorf("%d: %+v, %+v\n%s%s", status, names, lines, stdout, stderr)
	}
}
