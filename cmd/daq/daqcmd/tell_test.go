package daqcmd_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestIddsHearsOfTheRunAndOfItsLines(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	var mu sync.Mutex
	var lines []document.LogRecord
	var beats []document.Component
	heard := make(chan struct{}) // the first of them
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch document.LogBatch
		var beat document.Component
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/v1/logs" && json.NewDecoder(r.Body).Decode(&batch) == nil {
			lines = append(lines, batch.Records...)
		} else if json.NewDecoder(r.Body).Decode(&beat) == nil {
			if beats = append(beats, beat); len(beats) == 1 {
				close(heard)
			}
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		select { // the run cannot be over before it was heard of
		case <-heard:
		case <-ctx.Done():
		}
		served <- b.Serve(ctx, ln)
	}()
	defer func() { cancel(); must(t, <-served) }()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	must(t, os.WriteFile(token, []byte("s3cr3t-token"), 0o600))
	args := []string{
		"run", "--broker-addr", ln.Addr().String(), "--state", filepath.Join(dir, "state"), "--run", "100001", "--stf-count", "1", "--frames", "20", "--no-files", "--file-type", "fake", "--fast",
		"--wait-results", "0s",
	}
	if status, _, stderr := command(t.Context(), append(args, "--idds", srv.URL, "--token-file", filepath.Join(dir, "absent"))...); status != 50 {
		t.Errorf("%d: %s", status, stderr)
	}
	if status, _, stderr := command(t.Context(), append(args, "--idds", "ftp://x", "--token-file", token)...); status != 64 {
		t.Errorf("%d: %s", status, stderr)
	}
	if status, stdout, stderr := command(t.Context(), append(args, "--idds", srv.URL, "--token-file", token)...); status != 0 {
		t.Fatalf("%d: %s%s", status, stdout, stderr)
	}
	if len(beats) < 2 || beats[0].Name != "daq" || beats[0].State != "PROCESSING" || beats[0].RunID != "100001" || beats[len(beats)-1].State != "EXITED" {
		t.Errorf("%+v", beats)
	}
	// The line about the broker names no run, and comes before the others or between them.
	if !slices.ContainsFunc(lines, func(l document.LogRecord) bool { return l.Component == "daq" && l.RunID == "100001" }) {
		t.Errorf("%+v", lines)
	}
}
