package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

// expiredToken is a JSON web token of 2023.
const expiredToken = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.czNjcmV0"

// embedded is the production world on the embedded broker.
func embedded(t *testing.T) *production {
	t.Helper()
	return newProduction(t, newChain(t).Broker, "", "")
}

func TestCalledAsTheProductionWorkerAPilotDoesItsRun(t *testing.T) {
	t.Parallel()
	doesItsRun(t, embedded(t))
}

func TestUnderThePanDAPilotASlotIsLeftInTime(t *testing.T) {
	t.Parallel()
	leavesInTime(t, embedded(t))
}

// doesItsRun: the production command line, from the relay to the normal end.
func doesItsRun(t *testing.T, p *production) {
	t.Helper()
	results := p.consume(t, message.QueueResultsFast)
	const n = 5
	p.publish(t, 0, 1, 2, 3, 4)
	j := p.newJob(t, "TFPILOT_SLOTS=2", "TFPILOT_STOP_QUIET=100ms")
	j.start(t, "./run_prompt_wrapper --run_id "+run+" --idle_timeout 120 --namespace "+p.namespace+" --unheard of --verbose")
	for range n {
		d, err := results.Next(soon(t))
		must(t, err)
		must(t, d.Ack(soon(t)))
		satisfiesConsumers(t, d.Body)
	}
	p.stop(t)
	if code := j.end(t); code != 0 {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
	if text := j.read(t, "payload.stderr"); text != "" {
		t.Errorf("stderr: %s", text)
	}
	if r := j.report(t); r.Slices.Done != n || r.RunID != run || r.Exit.Code != 0 || r.Exit.Cause != "the run is over" {
		t.Errorf("%+v", r)
	}
	if log := j.read(t, "payload.stdout"); !strings.Contains(log, "pilot lives") || !strings.Contains(log, "asking the PanDA relay") {
		t.Errorf("the log: %s", log)
	}
	j.mustBeClean(t)
}

// satisfiesConsumers holds a result to what the fast-processing agent and the worker manager read of it.
func satisfiesConsumers(t *testing.T, body []byte) {
	t.Helper()
	var m struct {
		MsgType string `json:"msg_type"`
		RunID   any    `json:"run_id"`
		Content struct {
			State             string   `json:"state"`
			ProcessingTime    *float64 `json:"processing_time"`
			RequestedAt       string   `json:"requested_at"`
			ProcessingStartAt string   `json:"processing_start_at"`
			Hostname          string   `json:"hostname"`
			PandaID           string   `json:"panda_id"`
			PandaTaskID       string   `json:"panda_task_id"`
			HarvesterID       string   `json:"harvester_id"`
			PandaServerURL    string   `json:"panda_server_url"`
			Result            struct {
				State  bool           `json:"state"`
				Result map[string]any `json:"result"`
				Error  *string        `json:"error"`
			} `json:"result"`
		} `json:"content"`
	}
	must(t, json.Unmarshal(body, &m))
	c := m.Content
	id, isNumber := c.Result.Result["slice_id"].(float64)
	if m.MsgType != "slice_result" || m.RunID != any(run) || c.State != "done" || c.ProcessingTime == nil || c.RequestedAt != "2026-01-18T14:36:03.194616" ||
		c.ProcessingStartAt == "" || c.Hostname == "" || c.PandaID != "119830" || c.PandaTaskID != "33708" || c.HarvesterID != "91464" || c.PandaServerURL == "" ||
		!c.Result.State || c.Result.Error != nil || !isNumber || id < 0 || id > 4 || c.Result.Result["processed"] != true || c.Result.Result["tf_filename"] == nil {
		t.Errorf("%s", body)
	}
}

func TestAFailedSliceHasAResultThatClosesItsRecord(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	results := p.consume(t, message.QueueResultsFast)
	p.publish(t, 3)
	j := p.newJob(t, "TFPILOT_PAYLOAD="+payloadFile(t, "echo 'CRITICAL: no hits' >&2; exit 11"))
	j.start(t, "./run_prompt_wrapper --run_id "+run+" --idle_timeout 0.2 --namespace "+p.namespace)
	d, err := results.Next(soon(t))
	must(t, err)
	must(t, d.Ack(soon(t)))
	var m struct {
		Content struct {
			State          string   `json:"state"`
			ProcessingTime *float64 `json:"processing_time"`
			Result         struct {
				State  bool           `json:"state"`
				Result map[string]any `json:"result"`
				Error  string         `json:"error"`
			} `json:"result"`
		} `json:"content"`
	}
	must(t, json.Unmarshal(d.Body, &m))
	c := m.Content
	if c.State != "failed" || c.ProcessingTime == nil || c.Result.State || c.Result.Result["slice_id"] != 3.0 || c.Result.Result["processed"] != false ||
		c.Result.Result["tf_filename"] == nil || !strings.Contains(c.Result.Error, "no hits") {
		t.Errorf("%s", d.Body)
	}
	if code := j.end(t); code != 0 || j.read(t, "payload.stderr") != "" || strings.Contains(j.read(t, "payload.stdout"), "CRITICAL") {
		t.Errorf("exit status %d: %s%s", code, j.read(t, "payload.stderr"), j.read(t, "payload.stdout"))
	}
	if r := j.report(t); r.Slices.Failed != 1 || r.Exit.Code != 0 {
		t.Errorf("%+v", r)
	}
	j.mustBeClean(t)
}

// leavesInTime: SIGTERM twice, to a pilot with a payload that ignores it and writes on stderr what the PanDA pilot looks for.
func leavesInTime(t *testing.T, p *production) {
	t.Helper()
	p.publish(t, 7)
	begun := filepath.Join(t.TempDir(), "begun")
	j := p.newJob(t, "TFPILOT_PAYLOAD="+payloadFile(t, `trap '' TERM; echo 'CRITICAL: Operation not permitted' >&2; touch `+begun+`; while :; do sleep 0.1; done`))
	j.start(t, "./run_prompt_wrapper --run_id "+run+" --idle_timeout 120 --namespace "+p.namespace)
	await(t, "the payload", func() bool { _, err := os.Stat(begun); return err == nil })
	j.term(t)
	if code := j.end(t); code != 59 {
		t.Errorf("exit status %d", code)
	}
	if text := j.read(t, "payload.stderr"); !strings.HasPrefix(text, "ERROR : ended by a signal") || strings.Count(text, "\n") != 1 {
		t.Errorf("stderr: %s", text)
	}
	if log := j.read(t, "payload.stdout"); strings.Contains(log, "CRITICAL") {
		t.Errorf("the log: %s", log)
	}
	if r := j.report(t); r.Slices.Done != 0 || r.Exit.Code != 59 || r.Exit.Name != "interrupted" {
		t.Errorf("%+v", r)
	}
	j.mustBeClean(t)
	d, err := p.consume(t, message.QueueSlicesWorkers).Next(soon(t))
	must(t, err)
	if d.Header.Get("redelivered") == "true" {
		t.Error("the slice's delivery was counted")
	}
	must(t, d.Ack(soon(t)))
}

func TestUnderThePanDAPilotASlotIsLeftInTimeWhenTheBrokerHangs(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	proxy := p.through(t, nil)
	p.publish(t, 7)
	begun := filepath.Join(t.TempDir(), "begun")
	j := p.newJob(t, "TFPILOT_PAYLOAD="+payloadFile(t, `trap '' TERM; touch `+begun+`; while :; do sleep 0.1; done`))
	j.start(t, "./run_prompt_wrapper --run_id "+run+" --namespace "+p.namespace)
	await(t, "the payload", func() bool { _, err := os.Stat(begun); return err == nil })
	proxy.Set(faultproxy.Conditions{Up: faultproxy.Direction{Hold: true}, Down: faultproxy.Direction{Hold: true}})
	j.term(t)
	if code := j.end(t); code != 59 {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
	j.mustBeClean(t)
	proxy.Cut() // or it would wait for the pilot that is gone
	d, err := p.consume(t, message.QueueSlicesWorkers).Next(soon(t))
	must(t, err)
	must(t, d.Ack(soon(t)))
}

func TestTheBrokersCertificateIsVerified(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.through(t, &tls.Config{Certificates: p.relay.TLS.Certificates}) //nolint:gosec // a test's
	results := p.consume(t, message.QueueResultsFast)
	p.publish(t, 0)
	for ca, is := range map[string]struct {
		want     int
		patience string
	}{"": {51, "3s"}, p.ca: {0, "1m"}} {
		j := p.newJob(t, "ARTEMIS_SSL_CA_CERTS="+ca, "TFPILOT_BROKER_TIMEOUT="+is.patience)
		j.start(t, "./run_prompt_wrapper --run_id "+run+" --idle_timeout 0.2 --namespace "+p.namespace)
		if code := j.end(t); code != is.want || (is.want != 0) != strings.Contains(j.read(t, "payload.stderr"), "certificate") {
			t.Errorf("%q: exit status %d: %s", ca, code, j.read(t, "payload.stderr"))
		}
		j.mustBeClean(t)
	}
	d, err := results.Next(soon(t))
	must(t, err)
	satisfiesConsumers(t, d.Body)
}

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	must(tb, err)
	return string(b)
}

func TestANormalIdleEndIsNoFailure(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	j := p.newJob(t)
	must(t, os.Symlink(filepath.Join(bin(t), "pilot"), j.path("run_prompt"))) // a link this time, by its path
	j.start(t, j.path("run_prompt")+" --idle_timeout=0.2 --run_id "+run)
	if code := j.end(t); code != 0 || j.read(t, "payload.stderr") != "" {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
	if _, err := os.Stat(filepath.Join(bin(t), "pilot")); err != nil {
		t.Errorf("the program behind the link: %v", err)
	}
	if _, err := os.Lstat(j.path("run_prompt")); err == nil {
		t.Error("the link is still there")
	}
}

func TestOutsideOfAJobNothingIsRemoved(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	j := embedded(t).newJob(t, "PANDAID=", "PROMPT_LOG_FILE="+log, "PROMPT_LOG_LEVEL=INFO")
	j.start(t, "./run_prompt_wrapper --idle_timeout 0.2")
	if code := j.end(t); code != 0 {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
	if readFile(t, log) != j.read(t, "payload.stdout") {
		t.Errorf("the log file: %s", readFile(t, log))
	}
	for _, name := range []string{"run_prompt_wrapper", "token"} {
		if _, err := os.Stat(j.path(name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAFileOfBrokersGoesBeforeTheRelayAndADefaultOneAfterIt(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	for name, env := range map[string]string{
		"named":   "PANDA_SERVER_URL=https://" + testkit.Nobody(t),
		"default": "PANDA_AUTH_ORIGIN=Nobody", // the relay refuses
	} {
		j := p.newJob(t, env)
		must(t, os.WriteFile(j.path("prompt.conf"), []byte(p.conf(t)), 0o600))
		if name == "named" {
			j.env = append(j.env, "PROMPT_TRANSFORM_CONF="+j.path("prompt.conf"))
		}
		j.start(t, "./run_prompt_wrapper --idle_timeout 0.2")
		if code := j.end(t); code != 0 {
			t.Errorf("%s: exit status %d: %s", name, code, j.read(t, "payload.stderr"))
		}
		if asked := strings.Contains(j.read(t, "payload.stdout"), "asking the PanDA relay"); asked != (name == "default") {
			t.Errorf("%s: the relay was asked: %v", name, asked)
		}
		j.mustBeClean(t)
	}
}

func TestABadCredentialEndsAJobAlsoWhereADefaultFileOfBrokersLies(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	for want, token := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"mode 0644":             {relayToken, 0o644},
		"is empty":              {"", 0o600},
		"expired at 2023-11-14": {expiredToken, 0o600},
	} {
		file := filepath.Join(t.TempDir(), "token")
		must(t, os.WriteFile(file, []byte(token.text), 0o600))
		must(t, os.Chmod(file, token.mode))
		j := p.newJob(t, "PANDA_AUTH_DIR="+file)
		must(t, os.WriteFile(j.path("prompt.conf"), []byte(p.conf(t)), 0o600))
		j.start(t, "./run_prompt_wrapper --idle_timeout 0.2")
		if code, text := j.end(t), j.read(t, "payload.stderr"); code != 50 || !strings.Contains(text, want) || !strings.Contains(text, file) {
			t.Errorf("exit status %d, want 50 with %q: %s", code, want, text)
		}
		j.mustBeClean(t)
	}
}

func TestIDDSAnswersTheRelayPath(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	p := newProduction(t, c.Broker, "", "")
	token, _, err := c.Secret("pilot.token")
	must(t, err)
	j := p.newJob(t, "PANDA_URL_SSL="+c.IDDS+"/server/panda", "PANDA_AUTH_DIR=", "PANDA_AUTH_ID_TOKEN="+token)
	j.start(t, "./run_prompt_wrapper --idle_timeout 0.2")
	if code := j.end(t); code != 0 {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
}

func TestABadStartOfAJobIsOneLineWithItsExitStatus(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		must(t, os.Chmod(path, mode))
		return path
	}
	answer := func(text string) string {
		other := newProduction(t, p.addr, "", "")
		other.relay.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		must(t, os.WriteFile(p.ca, append([]byte(readFile(t, p.ca)), readFile(t, other.ca)...), 0o600))
		return "PANDA_SERVER_URL=" + other.relay.URL
	}
	closed := testkit.Nobody(t)
	gone := newProduction(t, closed, "worker", "s3cret-passcode")
	for _, c := range []struct {
		name   string
		status int
		want   string
		args   string
		env    []string
	}{
		{"no broker", 40, "no broker for 100ms", "", []string{"PROMPT_TRANSFORM_CONF=" + file("gone.conf", gone.conf(t), 0o600), "TFPILOT_BROKER_TIMEOUT=100ms"}},
		{"relay refuses", 41, "iDDS has no such thing", "", []string{answer(`[false, "iDDS has no such thing"]`)}},
		{"relay answers HTML", 41, "no JSON", "", []string{answer("<html>busy</html>")}},
		{"relay answers nothing", 41, "answered nothing", "", []string{answer("")}},
		{"no relay there", 41, closed, "", []string{"PANDA_SERVER_URL=https://" + closed}},
		{"unknown authority", 51, "certificate", "", []string{"TFPILOT_RELAY_CA_FILE="}},
		{"token refused", 50, "403", "", []string{"PANDA_AUTH_ORIGIN=Nobody"}},
		{"token file empty", 50, "is empty", "", []string{"PANDA_AUTH_DIR=" + file("empty", "", 0o600)}},
		{"token file open", 50, "mode 0644", "", []string{"PANDA_AUTH_DIR=" + file("open", relayToken, 0o644)}},
		{"token expired", 50, "expired at 2023-11-14", "", []string{"PANDA_AUTH_DIR=" + file("expired", expiredToken, 0o600)}},
		{"prompt.conf missing", 51, "/nowhere/prompt.conf", "", []string{"PROMPT_TRANSFORM_CONF=/nowhere/prompt.conf"}},
		{"prompt.conf with an entry missing", 51, "result_broker missing", "", []string{"PROMPT_TRANSFORM_CONF=" + file("part.conf", strings.ReplaceAll(p.conf(t), "result_broker", "results"), 0o600)}},
		{"nothing said", 51, "PANDA_URL_SSL", "", []string{"PANDA_SERVER_URL="}},
		{"no run number", 64, `--run_id: "s3"`, "--run_id s3", nil},
		{"no value", 64, "--idle_timeout: value missing", "--idle_timeout", nil},
		{"a native option", 64, "TFPILOT_SLOTS", "", []string{"TFPILOT_SLOTS=many"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := p.newJob(t, c.env...)
			j.start(t, "./run_prompt_wrapper "+c.args)
			code := j.end(t)
			text := j.read(t, "payload.stderr")
			if code != c.status || !strings.HasPrefix(text, "ERROR : ") || !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 {
				t.Errorf("exit status %d, want %d with %q: %s", code, c.status, c.want, text)
			}
			if r := j.report(t); r.Exit.Code != c.status || r.Exit.Cause == "" {
				t.Errorf("%+v", r)
			}
			j.mustBeClean(t, "s3cret-passcode", expiredToken)
		})
	}
}

func TestASignalEndsTheWaitForARelayThatSaysNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	p := newProduction(t, c.Broker, "", "")
	asked, release := make(chan struct{}, 1), make(chan struct{})
	p.relay.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-release })
	t.Cleanup(func() { close(release) })
	j := p.newJob(t)
	j.start(t, "./run_prompt_wrapper --run_id "+run)
	<-asked
	j.term(t)
	if code := j.end(t); code != 59 {
		t.Errorf("exit status %d: %s", code, j.read(t, "payload.stderr"))
	}
	j.mustBeClean(t)
}
