package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/doctor"
	"tfpilot/internal/access"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/stompd"
)

// with examines with some access and tokens made in the store.
func (c *clinic) with(a doctor.Access, made ...access.Token) doctor.Report {
	c.t.Helper()
	c.cfg.Access = func(context.Context) doctor.Access { return a }
	c.cfg.Store = func(context.Context) (*ledger.StoreFacts, error) { return &ledger.StoreFacts{Tokens: made}, nil }
	return c.examine()
}

func TestTokensThatAreWrongOrSoonOverAreNamed(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	now := time.Now()
	all := access.Roles()
	r := c.with(doctor.Access{File: "tokens.toml", Roles: all, Listen: "127.0.0.1:1"}, access.Token{ID: "good", Role: access.Pilot})
	says(t, r, "tokens", doctor.OK, "4 in tokens.toml, 1 made since")
	says(t, r, "certificate", doctor.NotChecked, "loopback")
	says(t, r, "/topic/epictopic", doctor.OK, "every subscriber hears a message")
	if !r.OK {
		t.Errorf("%+v", r.Err())
	}

	made := []access.Token{
		{ID: "old", Name: "farm", Role: access.Pilot, ExpiresAt: now.Add(-time.Hour)},
		{ID: "ended", Role: access.Pilot, RevokedAt: now},
		{ID: "late", Role: access.Viewer, ExpiresAt: now.Add(1000 * time.Hour)},
	}
	for i := range 7 {
		made = append(made, access.Token{ID: fmt.Sprint("soon", i), Name: "grafana\n\x1b[31m", Role: access.Viewer, ExpiresAt: now.Add(time.Duration(30+i) * time.Hour)})
	}
	r = c.with(doctor.Access{File: "tokens.toml", Listen: "0.0.0.0:8443"}, made...)
	says(t, r, "tokens", doctor.Warning, "none of role pilot", "idds token create --role pilot")
	says(t, r, "tokens", doctor.Warning, "none of role harvester")
	says(t, r, "tokens", doctor.Warning, "soon0", "expires at", "in 30h0m0s", "idds token revoke soon0")
	says(t, r, "tokens", doctor.Warning, "2 tokens more expire")
	says(t, r, "tokens", doctor.OK, "1 expired, old")
	says(t, r, "certificate", doctor.Warning, "in the clear", "--tls-cert")
	for _, check := range r.Checks {
		if strings.ContainsAny(check.Found, "\n\x1b") || strings.Contains(check.Found, "late ") {
			t.Errorf("%q", check.Found)
		}
	}
	if !r.OK {
		t.Error("a warning is a problem")
	}
}

func TestAFileOfTokensThatOthersReadIsAProblem(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	r := c.with(doctor.Access{Tokens: exitcode.New(exitcode.NoCredential, "tokens.toml is readable by others; chmod 600 it")})
	says(t, r, "tokens", doctor.Problem, "chmod 600")
	if exitcode.From(r.Err()) != exitcode.NoCredential {
		t.Error(r.Err())
	}
}

func TestCertificatesAndIssuersAreLookedAt(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	all := access.Roles()
	says(t, c.with(doctor.Access{Roles: all, Listen: ":1", CertificateEnds: time.Now().Add(3 * 24 * time.Hour)}), "certificate", doctor.Warning, "it ends at", "renew it")
	says(t, c.with(doctor.Access{Roles: all, Listen: ":1", CertificateEnds: time.Now().Add(100*24*time.Hour + time.Minute)}), "certificate", doctor.OK, "another 100 days")
	says(t, c.with(doctor.Access{Roles: all, Secure: exitcode.New(exitcode.BadConfig, "it expired")}), "certificate", doctor.Problem, "it expired")
	open := exitcode.New(exitcode.NoCredential, "others can read it")
	says(t, c.with(doctor.Access{Roles: all, Secure: open}), "certificate", doctor.Problem, "others can read it", "with mode 600")
	says(t, c.with(doctor.Access{Roles: all, Issuer: "https://iam"}), "issuer of tokens", doctor.OK, "its keys")
	says(t, c.with(doctor.Access{Roles: all, Issuer: "https://iam", NoIssuer: errors.New("no route")}), "issuer of tokens", doctor.Problem, "no route", "--oidc-ca-file")
}
