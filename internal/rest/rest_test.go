package rest_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rest"
	"tfpilot/internal/testkit"
)

// service answers every request the same way and counts them.
func service(t *testing.T, status int, body string) (base string, count *atomic.Int32) {
	t.Helper()
	count = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if r.Header.Get("Authorization") != "Bearer s3cret-token" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, count
}

func client(base string, retries int) *rest.Client {
	return rest.New(rest.Config{Base: base + "/", Token: "s3cret-token", Retries: retries, Timeout: 5 * time.Second})
}

func TestARefusalSaysWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]exitcode.Failure{
		401: exitcode.NoCredential, 403: exitcode.NoCredential, 404: exitcode.Usage, 422: exitcode.Usage, 500: exitcode.NoService, 503: exitcode.NoService,
	} {
		base, _ := service(t, status, `{"title":"x","detail":"this is","errors":[{"message":"why","location":"query.state"}]}`)
		err := client(base, 0).Read(t.Context(), "/v1/x", new(any))
		refused, ok := errors.AsType[*rest.StatusError](err)
		if exitcode.From(err) != want || !ok || refused.Code != status || !strings.Contains(err.Error(), "this is; query.state: why") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestWhoForgetsTheTLSOfTheAddressIsTold(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	defer srv.Close()
	err := client("http://"+srv.Listener.Addr().String(), 0).Read(t.Context(), "/v1/x", new(any))
	if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), "https://") {
		t.Error(err)
	}
}

func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int32{503: 3, 404: 1, 401: 1} {
		base, count := service(t, status, "")
		if err := client(base, 2).Read(t.Context(), "/v1/x", new(any)); err == nil {
			t.Error("no error")
		}
		if n := count.Load(); n != want {
			t.Errorf("%d: %d requests, want %d", status, n, want)
		}
	}
}

func TestAnAnswerThatIsNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	base, _ := service(t, 200, "<html>")
	if err := client(base, 0).Post(t.Context(), "/v1/x", 1, new(int)); exitcode.From(err) != exitcode.NoService {
		t.Errorf("got %v", err)
	}
}

func TestNobodyThereIsNoService(t *testing.T) {
	t.Parallel()
	err := client("http://"+testkit.Nobody(t), 0).Read(t.Context(), "/ping", new(any))
	if exitcode.From(err) != exitcode.NoService || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	if err := client("::not an address", 0).Read(t.Context(), "/ping", new(any)); exitcode.From(err) != exitcode.BadConfig {
		t.Errorf("got %v", err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	if err := client(srv.URL, 5).Read(ctx, "/x", new(any)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestARefusedTokenIsNamedWithTheWayToAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		token      string
		want, next string
	}{
		{401, "", "no token was given", "idds token --state STATE viewer > FILE"},
		{401, "s3cret", "idds does not take the token", "--token-file or TFPILOT_TOKEN_FILE"},
		{403, "s3cret", "the token must be of role viewer", "idds token --state STATE viewer > FILE"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }))
		t.Cleanup(srv.Close)
		err := rest.New(rest.Config{Base: srv.URL, Token: c.token, Role: "viewer"}).Read(t.Context(), "/v1/x", new(any))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(exitcode.Next(err), c.next) || exitcode.From(err) != exitcode.NoCredential {
			t.Errorf("%d: %v (%s)", c.status, err, exitcode.Next(err))
		}
	}
	err := rest.TokenError(exitcode.New(exitcode.NoCredential, "file x is empty"), "pilot")
	if !strings.Contains(err.Error(), "--token-file (TFPILOT_TOKEN_FILE): file x is empty") || !strings.Contains(exitcode.Next(err), "idds token --state STATE pilot") ||
		exitcode.From(err) != exitcode.NoCredential {
		t.Errorf("%v (%s)", err, exitcode.Next(err))
	}
}

func TestAnAddressThatIsNoneSaysWhatOneLooksLike(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"ftp://x", "127.0.0.1:8443", "idds.example.org", "http://", "http://:8443", "", "https://u:p@x", "http://x?y", "http://x:port"} {
		err := rest.CheckBase("--idds", base)
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), "--idds") || !strings.Contains(err.Error(), "https://idds.example.org:8443") {
			t.Errorf("%q: %v", base, err)
		}
	}
	for _, base := range []string{"http://127.0.0.1:8443", "https://idds.example.org/sub/", "http://[::1]:80"} {
		if err := rest.CheckBase("--idds", base); err != nil {
			t.Error(err)
		}
	}
}
