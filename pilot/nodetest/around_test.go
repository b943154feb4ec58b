package nodetest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
	"tfpilot/pilot/nodetest"
)

// aBroker is one that lets users in; anybody without.
func aBroker(t *testing.T, users map[string]string) string {
	t.Helper()
	b, err := stompd.New(stompd.Config{Users: users})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	return ln.Addr().String()
}

func TestABrokerThatAsksForNobodyLetsAnybodyIn(t *testing.T) {
	t.Parallel()
	addr := aBroker(t, nil)
	f := byName(newTests(t, nodetest.Config{}).Check(t.Context(), nodetest.Around{
		Broker: func(context.Context) (broker.Config, error) { return broker.Config{Addrs: []string{addr}}, nil },
	}))["broker"]
	if f.Verdict != fitness.OK || !strings.Contains(f.Found, "lets anybody in") {
		t.Errorf("%+v", f)
	}
}

func TestTheBrokerIsConnectedToAsAPilotDoes(t *testing.T) {
	t.Parallel()
	addr := aBroker(t, map[string]string{"panda": "right"})
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // and never accepts
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	for name, c := range map[string]struct {
		addr, passcode string
		tls            bool
		verdict        fitness.Verdict
		found, next    string
		failure        exitcode.Failure
	}{
		"lets us in":              {addr, "right", false, fitness.OK, `lets "panda" in without TLS`, "", exitcode.OK},
		"a wrong password":        {addr, "wrong", false, fitness.Bad, `refuses the login "panda"`, "password", exitcode.NoCredential},
		"nobody there":            {testkit.Nobody(t), "", false, fitness.Bad, "connection refused", "check that it runs", exitcode.NoBroker},
		"TLS where there is none": {addr, "right", true, fitness.Bad, "127.0.0.1", "does not speak TLS", exitcode.BadConfig},
		"no answer":               {silent.Addr().String(), "", false, fitness.Bad, silent.Addr().String(), "check that it runs", exitcode.NoBroker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := newTests(t, nodetest.Config{Limit: aMoment}).Check(t.Context(), nodetest.Around{
				Broker: func(context.Context) (broker.Config, error) {
					return broker.Config{Addrs: []string{c.addr}, Login: "panda", Passcode: c.passcode, TLS: c.tls}, nil
				},
			})
			f := byName(findings)["broker"]
			if f.Verdict != c.verdict || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Next, c.next) {
				t.Errorf("%+v", f)
			}
			if err := nodetest.Err(findings); exitcode.From(err) != c.failure {
				t.Errorf("%v is %s, want %s", err, exitcode.From(err).Name, c.failure.Name)
			}
			if strings.Contains(f.Found+f.Next, "wrong") {
				t.Errorf("the passcode is in %+v", f)
			}
		})
	}
}

func TestANameThatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	found := byName(newTests(t, nodetest.Config{Limit: aMoment}).Check(t.Context(), nodetest.Around{
		Broker: func(context.Context) (broker.Config, error) {
			return broker.Config{Addrs: []string{"broker.invalid:61613"}}, nil
		},
	}))
	if f := found["names"]; f.Verdict != fitness.Bad || !strings.Contains(f.Found, "broker.invalid") || !strings.Contains(f.Next, "/etc/resolv.conf") {
		t.Errorf("%+v", f)
	}
}

// dated is an idds whose clock is off.
func dated(t *testing.T, off time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestAClockThatIsOffIsAWarningUnlessItIsToBeMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		off     time.Duration
		fatal   []string
		verdict fitness.Verdict
		found   string
	}{
		"the same":       {0, nil, fitness.OK, "that of idds"},
		"an hour ahead":  {-time.Hour, nil, fitness.Warning, "ahead of that of idds"},
		"an hour behind": {time.Hour, []string{"clock"}, fitness.Bad, "behind that of idds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := examine(t, nodetest.Config{Fatal: c.fatal}, func(p *nodetest.Places) { p.IDDS = dated(t, c.off) })["clock"]
			if f.Verdict != c.verdict || !strings.Contains(f.Found, c.found) {
				t.Errorf("%+v", f)
			}
		})
	}
	t.Run("nobody to compare with", func(t *testing.T) {
		t.Parallel()
		if f := examine(t, nodetest.Config{}, func(p *nodetest.Places) { p.IDDS = "http://" + testkit.Nobody(t) })["clock"]; f.Verdict != fitness.Unknown {
			t.Errorf("%+v", f)
		}
	})
}

// jwt is a token that ends then.
func jwt(end time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, end.Unix())) + ".sig"
}

func TestTheTokenIsLookedAtAndTried(t *testing.T) {
	t.Parallel()
	refused := exitcode.New(exitcode.NoCredential, "idds does not take the token")
	for name, c := range map[string]struct {
		token   string
		answer  error
		verdict fitness.Verdict
		found   string
		failure exitcode.Failure
	}{
		"none":           {"", refused, "", "", exitcode.NoCredential},
		"expired":        {jwt(time.Now().Add(-time.Hour)), refused, fitness.Bad, "it expired at", exitcode.NoCredential},
		"soon over":      {jwt(time.Now().Add(time.Hour)), nil, fitness.Warning, "it expires at", exitcode.OK},
		"good":           {jwt(time.Now().Add(100 * time.Hour)), nil, fitness.OK, "it expires at", exitcode.OK},
		"without an end": {"abcdef", nil, fitness.OK, "does not say when it ends", exitcode.OK},
		"refused":        {"abcdef", refused, fitness.Unknown, "has not taken it", exitcode.NoCredential},
		"idds is not up": {"abcdef", exitcode.Wrap(exitcode.NoService, errors.New("refused")), fitness.Unknown, "has not taken it", exitcode.NoService},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := newTests(t, nodetest.Config{}, func(p *nodetest.Places) { p.IDDS = dated(t, 0) }).Check(t.Context(), nodetest.Around{
				IDDS: func(context.Context) error { return c.answer }, Token: c.token,
			})
			if f := byName(findings)["token"]; f.Verdict != c.verdict || !strings.Contains(f.Found, c.found) {
				t.Errorf("%+v", f)
			}
			if err := nodetest.Err(findings); exitcode.From(err) != c.failure || c.token != "" && err != nil && strings.Contains(err.Error(), c.token) {
				t.Errorf("%v", err)
			}
		})
	}
}
