package iddscmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// made makes a token for a namespace and returns its id and a file with it.
func (in *instance) made(t *testing.T, operator string, args ...string) (id, file string) {
	t.Helper()
	o := command(t, append([]string{"token", "create", "--idds", in.url, "--token-file", operator}, args...)...)
	o.mustSay(t, 0, "tfp_")
	if strings.Contains(o.stderr, "tfp_") || strings.Count(o.stdout, "\n") != 1 {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
	id, _, _ = strings.Cut(strings.TrimPrefix(o.stderr, "token "), ":")
	file = filepath.Join(t.TempDir(), "made.token")
	must(t, os.WriteFile(file, []byte(o.stdout), 0o600))
	return id, file
}

func TestAnOperatorMakesListsAndRevokesTokens(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	operator := in.token(t, "operator")
	id, viewer := in.made(t, operator, "--role", "viewer", "--namespace", "default", "--name", "control room")
	as := func(file string, args ...string) output {
		return command(t, append(args, "--idds", in.url, "--token-file", file)...)
	}
	as(viewer, "runs").mustSay(t, 0, "RUN")
	as(viewer, "token", "list").mustSay(t, 50, "the token must be of role operator", "idds token --state STATE operator")
	as(operator, "token", "list").mustSay(t, 0, id, "control room", "valid", "tokens.toml/operator")
	as(operator, "audit").mustSay(t, 0, "token.create", id, "127.0.0.1", "role viewer, default, until")
	as(operator, "token", "revoke", id).mustSay(t, 0, "was revoked")
	as(viewer, "runs").mustSay(t, 50, "was revoked")
	as(operator, "audit", "--output", "json").mustSay(t, 0, `"token.revoke"`)
	as(operator, "token", "revoke", "none").mustSay(t, 64, "there is no token none")
	as(operator, "token", "create", "--role", "root").mustSay(t, 64, `--role "root" is none of`)
	as(operator, "token", "create", "--role", "pilot", "--expires", "-1h").mustSay(t, 64, "--expires")
	command(t, "token", "--state", in.state, "root").mustSay(t, 64, "token needs one of")
	for _, secret := range []string{"tfp_", strings.TrimSpace(read(t, operator))} {
		if strings.Contains(in.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	if !strings.Contains(in.log.String(), "token.revoke") {
		t.Error("no line of the audit in the log")
	}
}

func TestHealthSaysWhatIsWrong(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	until(t, "a write", func() bool { return in.ask(t, "health").status == 0 })
	in.ask(t, "health").mustSay(t, 0, "store", "can be written", "connected to "+in.broker)
	in.stopBroker()
	until(t, "the loss of the broker", func() bool { return in.ask(t, "health").status != 0 })
	in.ask(t, "health").mustSay(t, 4, "broker", "bad", "no connection")
	in.ask(t, "health", "--output", "json").mustSay(t, 4, `"ok": false`)
}

func TestAConfigurationOfAccessThatIsNotRightIsNamed(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	for want, c := range map[string]struct {
		status int
		args   []string
	}{
		"--oidc-audience is missing":        {51, []string{"--oidc-issuer", "https://issuer.example", "--oidc-groups", "g=viewer"}},
		"say nothing without --oidc-issuer": {64, []string{"--oidc-audience", "idds"}},
		"go together":                       {64, []string{"--tls-cert", "x.pem"}},
		"readable by others":                {50, []string{"--broker-logins", file("open.toml", "[epic]\nlogin='a'\npasscode='hush-hush'", 0o644)}},
		"not a table [NAMESPACE]":           {51, []string{"--broker-logins", file("odd.toml", "passcode='hush-hush'", 0o600)}},
		`the namespace "epic" has no login`: {51, []string{"--broker-logins", file("half.toml", "[epic]\npasscode='hush-hush'", 0o600)}},
		"--rate-limit":                      {64, []string{"--rate-limit", "-1"}},
		"--max-connections":                 {64, []string{"--max-connections", "0"}},
	} {
		o := command(t, append([]string{"serve", "--state", filepath.Join(dir, "state"), "--broker-addr", "127.0.0.1:1", "--listen", "127.0.0.1:0"}, c.args...)...)
		o.mustSay(t, c.status, want)
		if strings.Contains(o.stderr+o.stdout, "hush-hush") {
			t.Error("a password is told")
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return string(b)
}
