package relay_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/program"
	"tfpilot/internal/testkit"
	"tfpilot/pilot/relay"
)

var must = testkit.Must

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "s3cret-relay-token" //nolint:gosec // of the tests

// server is a PanDA server over TLS.
func server(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewTLSServer(handler)
	t.Cleanup(srv.Close)
	return srv
}

// client trusts the server's certificate.
func client(t *testing.T, srv *httptest.Server, edit ...func(*relay.Config)) *relay.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	cfg := relay.Config{URL: srv.URL + "/server/panda", Credential: relay.Credential{Token: token, VO: "EIC", From: "PANDA_AUTH_DIR"}, Roots: roots}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := relay.New(cfg)
	must(t, err)
	return c
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	must(t, err)
	return b
}

// wanted is the broker configuration of the fixture.
func wanted(t *testing.T) metainfo.PromptBroker {
	t.Helper()
	var outer, inner []json.RawMessage
	var want metainfo.PromptBroker
	must(t, json.Unmarshal(fixture(t, "relay_response.json"), &outer))
	must(t, json.Unmarshal(outer[1], &inner))
	must(t, json.Unmarshal(inner[1], &want))
	must(t, want.Validate())
	return want
}

func TestTheCallIsTheOneOfTheProductionClient(t *testing.T) {
	t.Parallel()
	recorded, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(fixture(t, "relay_request.txt"))))
	must(t, err)
	// The body of the recording is decoded: its length is not that of the header.
	_, document, _ := strings.Cut(strings.ReplaceAll(string(fixture(t, "relay_request.txt")), "\r", ""), "\n\n")
	srv := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != recorded.Method || r.URL.Path != recorded.URL.Path {
			t.Errorf("%s %s, want %s %s", r.Method, r.URL.Path, recorded.Method, recorded.URL.Path)
		}
		for _, h := range []string{"Content-Type", "Origin", "Content-Encoding"} {
			if got, want := r.Header.Get(h), recorded.Header.Get(h); got != want {
				t.Errorf("%s %q, want %q", h, got, want)
			}
		}
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("Authorization %q", got)
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("the body is no gzip: %v", err)
			return
		}
		body, err := io.ReadAll(z)
		var got, want map[string]any
		if err != nil || json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(document), &want) != nil {
			t.Errorf("body %s, %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		_, _ = w.Write(fixture(t, "relay_response.json"))
	})
	got, err := client(t, srv).PromptBroker(t.Context())
	if diff := cmp.Diff(wanted(t), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestAnotherIDDSIsNamedInTheCommand(t *testing.T) {
	t.Parallel()
	srv := server(t, func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		var call map[string]any
		if err != nil || json.NewDecoder(z).Decode(&call) != nil || call["command_name"] != "get_metainfo+https://idds:443/idds" {
			t.Errorf("%v %v", call, err)
		}
		_, _ = w.Write(fixture(t, "relay_response.json"))
	})
	_, err := client(t, srv, func(c *relay.Config) { c.IDDS = "https://idds:443/idds" }).PromptBroker(t.Context())
	must(t, err)
}

func TestEveryShapeOfAGoodAnswerIsRead(t *testing.T) {
	t.Parallel()
	document, err := json.Marshal(wanted(t))
	must(t, err)
	text, err := json.Marshal(string(document))
	must(t, err)
	for name, body := range map[string]string{
		"as recorded":        string(fixture(t, "relay_response.json")),
		"number for a flag":  `[true,[0,` + string(document) + `]]`,
		"text within":        `[true,[true,` + string(text) + `]]`,
		"one pair":           `[true,` + string(document) + `]`,
		"with unknown keys":  `[true,[true,` + strings.Replace(string(document), "{", `{"ejfat":{"102023":{"instance_uri":"ejfat://t@h"}},`, 1) + `]]`,
		"the new interface":  `{"success":true,"message":"","data":[true,` + string(document) + `]}`,
		"null for a CA file": `[true, [true, ` + string(document) + "]]\n",
	} {
		got, err := client(t, server(t, answer(body))).PromptBroker(t.Context())
		if diff := cmp.Diff(wanted(t), got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestAServerWithoutTheLegacyEndpointIsAskedOnItsNewOne(t *testing.T) {
	t.Parallel()
	srv := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/idds/relay_idds_command" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("headers %v", r.Header)
		}
		_, _ = io.WriteString(w, `{"success":true,"message":"","data":`+string(fixture(t, "relay_response.json"))+`}`)
	})
	got, err := client(t, srv).PromptBroker(t.Context())
	if diff := cmp.Diff(wanted(t), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestABadAnswerIsOneClearErrorWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, want string
		status           int
		failure          exitcode.Failure
	}{
		{"refused by the server", `[false, "no such command"]`, `answered: "no such command"`, 200, exitcode.NoService},
		{"iDDS is down", `[true,[false,"Connection refused to iDDS"]]`, "Connection refused to iDDS", 200, exitcode.NoService},
		{"iDDS refuses the token", `[true,[false,"401 Unauthorized: token ` + token + ` is not known"]]`, "401 Unauthorized", 200, exitcode.NoCredential},
		{"a guard of the client", `[true,[-1,"request_id is None"]]`, "request_id is None", 200, exitcode.NoService},
		{"refused by the new interface", `{"success":false,"message":"not now","data":null}`, "not now", 200, exitcode.NoService},
		{"HTML", "<html>\n<b>Apache</b>", `what is no JSON: "<html> <b>Apache</b>"`, 200, exitcode.NoService},
		{"nothing", "", "answered nothing", 200, exitcode.NoService},
		{"null", "[true,[true,null]]", "no JSON", 200, exitcode.NoService},
		{"no pair", "[true]", "no pair", 200, exitcode.NoService},
		{"cut off", `[true,[true,{"transformer_broker":`, "no pair", 200, exitcode.NoService},
		{"brokers missing", `[true,[true,{"transformer_broker":null,"result_broker":{"destination":"d","brokers":"h:1"}}]]`, "transformer_broker missing", 200, exitcode.BadConfig},
		{"another type", `[true,[true,{"transformer_broker":{"destination":7,"password":"s3cret-relay-token"}}]]`, "destination is a number", 200, exitcode.BadConfig},
		{"a refused token", "ERROR : Token authentication failed. " + token, "refused the token of PANDA_AUTH_DIR: 403", 403, exitcode.NoCredential},
		{"without end", strings.Repeat("[true,", 99) + "1" + strings.Repeat("]", 99), "without end", 200, exitcode.NoService},
		{"a redirection", "", "answered 302", 302, exitcode.NoService},
		{"no relay at all", "", "404 Not Found", 404, exitcode.NoService},
		{"too long to read", "[true,[true," + strings.Repeat("x", 3<<20), "no pair", 200, exitcode.NoService},
	} {
		srv := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := client(t, srv).PromptBroker(t.Context())
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), srv.URL) || exitcode.From(err) != c.failure ||
			strings.Contains(err.Error(), "s3cret") || strings.Contains(program.Line("pilot", err), "\n") || len(err.Error()) > 500 {
			t.Errorf("%s: %s: %v", c.name, exitcode.From(err).Name, err)
		}
	}
}

func TestASilentServerIsWaitedForOnceAndNamed(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	release := make(chan struct{})
	srv := server(t, func(http.ResponseWriter, *http.Request) { calls.Add(1); <-release })
	t.Cleanup(func() { close(release) })
	_, err := client(t, srv, func(c *relay.Config) { c.Timeout = time.Second }).PromptBroker(t.Context())
	if exitcode.From(err) != exitcode.NoService || !strings.Contains(err.Error(), "did not answer within 1s") || calls.Load() > 1 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}

func TestAServerThatIsBusyIsAskedAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	srv := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(fixture(t, "relay_response.json"))
	})
	if _, err := client(t, srv).PromptBroker(t.Context()); err != nil || calls.Load() != 2 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}

func TestTheServersCertificateIsVerified(t *testing.T) {
	t.Parallel()
	srv := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the token was sent to somebody unknown") })
	_, err := client(t, srv, func(c *relay.Config) { c.Roots = x509.NewCertPool() }).PromptBroker(t.Context())
	if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), "certificate") || !strings.Contains(exitcode.Next(err), "TFPILOT_RELAY_CA_FILE") {
		t.Errorf("%v (%s)", err, exitcode.Next(err))
	}
}

func TestATokenIsNotSentInClearTextToAnotherMachine(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"http://panda.example.org:25080/server/panda": false, "http://127.0.0.1:25080/server/panda": true, "http://localhost:1": true,
		"https://panda.example.org": true, "panda.example.org:25443": false, "": false, "https://u:p@h": false,
	} {
		if _, err := relay.New(relay.Config{URL: url}); (err == nil) != ok || (err != nil && exitcode.From(err) != exitcode.BadConfig) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestNobodyThereIsNoService(t *testing.T) {
	t.Parallel()
	srv := server(t, answer(""))
	c := client(t, srv)
	srv.Close()
	if _, err := c.PromptBroker(t.Context()); exitcode.From(err) != exitcode.NoService || !strings.Contains(err.Error(), srv.URL) {
		t.Errorf("got %v", err)
	}
}

func TestAnEndOfTheWaitIsNobodysFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	srv := server(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
	t.Cleanup(func() { close(release) })
	if _, err := client(t, srv).PromptBroker(ctx); exitcode.From(err) != exitcode.Interrupted {
		t.Errorf("got %v", err)
	}
}
