package relay_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/pilot/relay"
)

// slow answers after a while, or never when the text is empty.
type slow struct {
	after time.Duration
	text  string
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.after):
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(s.text)), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// A server whose iDDS is down says so after 100 s: whoever gave up before would blame the server.
func TestASlowServerIsWaitedForWithProgressShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server slow
		want   string
		took   time.Duration
	}{
		{slow{110 * time.Second, `[true,[false,"no connection to iDDS"]]`}, "no connection to iDDS", 110 * time.Second},
		{slow{time.Hour, ""}, "did not answer within 2m30s", 150 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			client, err := relay.New(relay.Config{URL: "https://panda.example.org/server/panda", Transport: c.server, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			must(t, err)
			began := time.Now()
			_, err = client.PromptBroker(t.Context())
			if took := time.Since(began); exitcode.From(err) != exitcode.NoService || !strings.Contains(err.Error(), c.want) || took != c.took {
				t.Errorf("after %s: %v", took, err)
			}
			if lines := strings.Count(log.String(), "waiting for the PanDA relay"); lines < int(c.took/(30*time.Second)) {
				t.Errorf("%d lines: %s", lines, log.String())
			}
		})
	}
}
