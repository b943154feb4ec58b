package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"tfpilot/idds/api"
	"tfpilot/internal/access"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

func TestWhatTheStoreDoesNotGiveIsNoFaultOfTheRequest(t *testing.T) {
	t.Parallel()
	url, store := serverAndStore(t)
	must(t, store.Close())
	for _, path := range []string{"/v1/runs", "/v1/slices", "/v1/runs/" + run + "/check", "/v1/workers"} {
		if status, text := call(t, http.MethodGet, url+path, access.Viewer, ""); status != http.StatusServiceUnavailable || !strings.Contains(string(text), "the store") {
			t.Errorf("%s: %d, %s", path, status, text)
		}
	}
	if status, _ := call(t, http.MethodGet, url+"/ping", "", ""); status != http.StatusOK {
		t.Errorf("/ping: %d", status)
	}
}

// sick is a store that answers as it is told to.
type sick struct {
	ledger.Store

	findRuns func() error
}

func (s sick) FindRuns(context.Context, ledger.RunFilter) ([]ledger.Run, error) {
	return nil, s.findRuns()
}

func TestAStoreThatLetsUsInNoMoreMayDoSoLater(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	url := serverOn(t, sick{store, func() error {
		return exitcode.New(exitcode.NoCredential, "the store: password authentication failed: password=hush")
	}}, api.Config{})
	status, text := call(t, http.MethodGet, url+"/v1/runs", access.Viewer, "")
	if status != http.StatusServiceUnavailable || !strings.Contains(string(text), "authentication failed") || strings.Contains(string(text), "hush") {
		t.Errorf("%d, %s", status, text)
	}
}

func TestABugIsAnAnswerAndStandsInTheLog(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	var said bytes.Buffer
	url := serverOn(t, sick{store, func() error { panic("all is lost") }}, api.Config{Log: slog.New(slog.NewTextHandler(&said, nil))})
	status, text := call(t, http.MethodGet, url+"/v1/runs/5", access.Viewer, "")
	if status != http.StatusInternalServerError || !strings.Contains(string(text), `"status":500`) || strings.Contains(string(text), "lost") {
		t.Errorf("%d, %s", status, text)
	}
	if log := said.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "all is lost") || !strings.Contains(log, "/v1/runs/5") {
		t.Errorf("the log has %q", log)
	}
}

// mute is an issuer that does not answer.
type mute struct{}

func (mute) Identify(context.Context, string) (access.Principal, error) {
	return access.Principal{}, access.ErrNoIssuer
}

func TestWhoSendsTokensThatCannotBeCheckedDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	var said bytes.Buffer
	url := serverOn(t, store, api.Config{Issuer: mute{}, Log: slog.New(slog.NewTextHandler(&said, nil))})
	for range 20 {
		if resp, text := request(t, http.MethodGet, url+"/v1/runs", "a.b.c", ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d, %s", resp.StatusCode, text)
		}
	}
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, said.String())
	}
}
