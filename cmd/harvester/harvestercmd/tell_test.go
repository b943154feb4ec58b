package harvestercmd_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tfpilot/internal/document"
)

func TestIddsHearsOfTheHarvesterUntilItHasGone(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	var mu sync.Mutex
	var lines []document.LogRecord
	beats := make(chan document.Component, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch document.LogBatch
		var beat document.Component
		var err error
		switch r.URL.Path {
		case "/v1/logs":
			err = json.NewDecoder(r.Body).Decode(&batch)
			mu.Lock()
			lines = append(lines, batch.Records...)
			mu.Unlock()
		case "/v1/components":
			err = json.NewDecoder(r.Body).Decode(&beat)
			beats <- beat
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(`{"demands":[]}`))
	}))
	defer srv.Close()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cr3t-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, quiet := range []bool{false, true} {
		ctx, stop := context.WithCancel(t.Context())
		args := []string{
			"run", "--idds", srv.URL, "--token-file", token, "--pilot-token-file", token, "--state", filepath.Join(dir, "state"), "--name", "site-a",
			"--pilot-path", "/bin/sh", "--interval", "10ms",
		}
		if quiet {
			args = append(args, "--no-ship-logs")
		}
		ended := make(chan int, 1)
		go func() {
			status, _, _ := command(ctx, args...)
			ended <- status
		}()
		if first := <-beats; first.Name != "site-a" || first.Role != "harvester" || first.State != "READY" || !strings.HasPrefix(first.Details, "system local") || first.HeartbeatSeconds != 10 {
			t.Errorf("%+v", first)
		}
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("ended with %d", status)
		}
		last := document.Component{}
		for len(beats) > 0 {
			last = <-beats
		}
		if last.State != "EXITED" {
			t.Errorf("%+v", last)
		}
		mu.Lock()
		switch {
		case quiet && len(lines) > 0:
			t.Errorf("%+v", lines)
		case !quiet && (len(lines) < 2 || lines[0].Component != "site-a" || lines[0].Role != "harvester" || lines[len(lines)-1].Message != "harvester ended"):
			t.Errorf("%+v", lines)
		}
		lines = nil
		mu.Unlock()
	}
}
