package iddscmd_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/rest"
)

func TestHelpNamesEveryCommandAndEveryOption(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	command(t, "--help").mustSay(t, 0, "serve", "token", "runs", "slices", "workers", "run")
	command(t, "serve", "--help").mustSay(t, 0, "--listen", "--state", "--broker-addr", "--namespace", "--max-attempts", "--lost-after", "--run-timeout")
	command(t, "run", "check", "--help").mustSay(t, 0, "--wait", "--output")
}

func TestABadStartIsOneLineWithItsOwnStatus(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	port := taken.Addr().String()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	folder := func(name, tokens string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.Mkdir(path, 0o700))
		must(t, os.WriteFile(filepath.Join(path, "tokens.toml"), []byte(tokens), mode))
		return path
	}
	garbage := folder("garbage", "", 0o600)
	must(t, os.WriteFile(filepath.Join(garbage, "idds.db"), []byte(strings.Repeat("this is no database ", 100)), 0o600))
	serve := func(state string, more ...string) []string {
		return append([]string{"serve", "--broker-addr", port, "--listen", "127.0.0.1:0", "--state", state}, more...)
	}
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name   string
		status int
		want   string
		args   []string
	}{
		{"unknown flag", 64, "-stat", []string{"serve", "--stat", "x"}},
		{"an argument too many", 64, `takes no argument "x"`, serve(filepath.Join(dir, "new"), "x")},
		{"a namespace as argument of a question", 64, `takes no argument "other"`, []string{"runs", "other"}},
		{"no broker", 51, "broker", []string{"serve", "--listen", "127.0.0.1:0", "--state", filepath.Join(dir, "nobroker")}},
		{"port taken", 44, port, serve(filepath.Join(dir, "taken"), "--listen", port)},
		{"a file where a folder is needed", 43, "making the state folder", serve(filepath.Join(file, "state"))},
		{"no database", 43, "idds.db", serve(garbage)},
		{"tokens for all to read", 50, "chmod 600", serve(folder("open", "viewer = ['0123456789abcdef']", 0o644))},
		{"a short token", 50, "shorter than 16", serve(folder("short", "viewer = ['secret']", 0o600))},
		{"a token of two roles", 50, "twice", serve(folder("twice", "viewer = ['0123456789abcdef']\npilot = ['0123456789abcdef']", 0o600))},
		{"a role that is none", 50, "pilot, harvester, operator, viewer", serve(folder("role", "admin = ['0123456789abcdef']", 0o600))},
		{"a wait into the past", 64, "--wait -1s", []string{"run", "check", "--wait", "-1s", "5"}},
		{"an address that is none", 64, "https://idds.example.org:8443", []string{"runs", "--idds", "ftp://x"}},
		{"an empty token", 50, "--token-file (TFPILOT_TOKEN_FILE): ", []string{"runs", "--token-file", file}},
		{"a token that is not there", 50, "idds token --state STATE viewer", []string{"runs", "--token-file", file + "x"}},
		{"token of no role", 64, "token needs one of", []string{"token", "--state", dir, "admin"}},
		{"check without a run", 64, "run check needs one run", []string{"run", "check", "--idds", "http://" + port}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := command(t, c.args...)
			o.mustSay(t, c.status, c.want)
			if strings.Contains(o.stderr, "0123456789abcdef") || strings.Contains(o.stderr, "secret'") {
				t.Errorf("a token is shown: %s", o.stderr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "nobroker")); err == nil {
		t.Error("what is refused for its options has made a state folder")
	}
}

func TestAStateBelongsToOneProcess(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	command(t, "serve", "--state", in.state, "--listen", "127.0.0.1:0", "--broker-addr", in.broker).mustSay(t, 45, "another process works on")
	if status := in.stop(); status != 0 {
		t.Errorf("ended with %d: %s", status, in.log)
	}
}

func TestTokensAreMadeOnceAndForTheirUserAlone(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, filepath.Join(t.TempDir(), "made", "here"))
	info, err := os.Stat(filepath.Join(in.state, "tokens.toml"))
	if must(t, err); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	tokens := map[string]bool{}
	for _, role := range []string{"pilot", "harvester", "operator", "viewer"} {
		o := command(t, "token", "--state", in.state, role)
		token := strings.TrimSpace(o.stdout)
		tokens[token] = true
		if len(token) < 20 || strings.Contains(in.log.String(), token) {
			t.Errorf("token of %s: %d characters, or in the log", role, len(token))
		}
	}
	if len(tokens) != 4 {
		t.Errorf("%d tokens for 4 roles", len(tokens))
	}
	before := command(t, "token", "--state", in.state, "viewer").stdout
	in.stop()
	if again := serve(t, in.state); command(t, "token", "--state", again.state, "viewer").stdout != before {
		t.Error("a restart made other tokens")
	}
}

func TestARefusedTokenIsNamedWithTheWayToAnother(t *testing.T) {
	in := serve(t, t.TempDir())
	t.Setenv("TFPILOT_IDDS", in.url)
	command(t, "runs").mustSay(t, 50, "no token was given", "--token-file or TFPILOT_TOKEN_FILE")
	t.Setenv("TFPILOT_TOKEN", "another-token-of-another-idds")
	command(t, "runs").mustSay(t, 50, "idds does not take the token", "idds token --state STATE viewer")
}

func TestTablesAndDocumentsOfARun(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"), slice("slice-b"))
	in.publish(t, message.TopicResults, result("slice-a", nil), result("slice-b", &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "no range"}))
	in.publish(t, message.TopicWorkers, endRun(2))
	until(t, "the end of the run", func() bool { return strings.Contains(in.log.String(), "run ended") })
	o := in.ask(t, "run", "check", "--wait", "30s", "100001")
	o.mustSay(t, 0, "run 100001 is closed: published 2 = done 1 + failed 1 + outstanding 0")

	o = in.ask(t, "runs")
	o.mustSay(t, 0)
	if got := columns(o.stdout); !strings.HasPrefix(got, "RUN STATE PUBLISHED DONE FAILED OUTSTANDING") || !strings.Contains(got, "\n100001 closed 2 1 1 0 0 0 ") {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "payloads", "100001"); o.status != 0 || !strings.HasSuffix(columns(o.stdout), "\nreco 2 1 1 0.5 s 0.5 s 0.3 s 60 % 21.0 MB 4.0 MB 1.0 MB\n") {
		t.Errorf("%d: %s", o.status, o.stdout)
	}
	o = in.ask(t, "slices", "--state", "failed")
	o.mustSay(t, 0, "slice-b", "data_invalid: no range")
	if strings.Contains(o.stdout, "slice-a") {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "slices", "--output", "quiet"); o.stdout != "slice-a\nslice-b\n" {
		t.Errorf("%q", o.stdout)
	}
	var page document.Page[document.Slice]
	o = in.ask(t, "slices", "--output", "json", "--limit", "1")
	if err := json.Unmarshal([]byte(o.stdout), &page); err != nil || len(page.Items) != 1 || page.Items[0].Identity != "slice-a" || page.Next == "" {
		t.Errorf("%v: %s", err, o.stdout)
	}
	in.ask(t, "slices", "--state", "odd").mustSay(t, 64, `--state "odd" is none of outstanding, waiting, done, failed`)
	in.ask(t, "slices", "--limit", "-1").mustSay(t, 64, "--limit -1 is negative")
	in.ask(t, "slices", "--run", "999").mustSay(t, 64, "no run 999")
	if o = in.ask(t, "slices", "--run", "100001", "--state", "waiting"); o.status != 0 || strings.Count(o.stdout, "\n") != 1 {
		t.Errorf("%d: %q", o.status, o.stdout)
	}
	in.ask(t, "runs", "--output", "xml").mustSay(t, 64, "xml")
	in.ask(t, "payloads", "999").mustSay(t, 64, "no run 999", "`idds runs` lists")
	in.ask(t, "payloads").mustSay(t, 64, "needs one run number")
	in.ask(t, "run", "check").mustSay(t, 64, "needs one run number")
	in.ask(t, "run", "check", "5").mustSay(t, 64, "no run 5", "`idds runs` lists")
}

func TestRunCheckFailsWhenTheAccountingDoesNotAddUp(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"))
	in.publish(t, message.TopicWorkers, endRun(3))
	until(t, "the end of the run", func() bool { return strings.Contains(in.log.String(), "run ended") })
	until(t, "the slice", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "slice-a") })
	o := in.ask(t, "run", "check", "100001")
	o.mustSay(t, 4, "problem: the producer announced 3 slices, 1 were seen", "slice-a", "on the queue")
	var check document.RunCheck
	o = in.ask(t, "run", "check", "--output", "json", "100001")
	if err := json.Unmarshal([]byte(o.stdout), &check); err != nil || o.status != 4 || check.OK || len(check.Outstanding) != 1 {
		t.Errorf("%d, %v: %s", o.status, err, o.stdout)
	}
}

func TestWhatCameTwiceIsToldAlsoAfterARestart(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"))
	until(t, "the slice", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "slice-a") }) // which results may overtake
	in.publish(t, message.TopicResults, result("slice-a", nil), result("slice-a", nil))
	says := func(words string) func() bool {
		return func() bool { return strings.Contains(in.ask(t, "run", "check", "100001").stdout, words) }
	}
	until(t, "the second result", says("problem: 1 results came twice without any fault"))
	in.stop()
	in = serve(t, in.state) // which is a fault
	until(t, "what was unexplained", says("1 results came twice before the first fault of the run was seen"))
}

func TestARunThatDoesNotCloseWithinTheWaitFailsItsCheck(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"))
	until(t, "the slice", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "slice-a") })
	in.ask(t, "run", "check", "100001").mustSay(t, 0, "run 100001 is open")
	in.ask(t, "run", "check", "--wait", "10ms", "100001").mustSay(t, 4, "on the queue", "run 100001 is still open after 10ms: no end_run was seen")
	in.ask(t, "run", "check", "--wait", "10ms", "--output", "json", "100001").mustSay(t, 4, `"ok": true`, "run 100001 is still open after 10ms")
	in.publish(t, message.TopicWorkers, endRun(1))
	until(t, "the end of the run", func() bool { return strings.Contains(in.log.String(), "run ended") })
	o := in.ask(t, "run", "check", "--wait", "10ms", "100001")
	if o.mustSay(t, 4, "run 100001 is still ending after 10ms"); strings.Contains(o.stderr, "end_run") {
		t.Errorf("%s", o.stderr)
	}
}

func TestATableHasALinePerSliceAndADocumentTheWholeReason(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	reason := "end before start\nfilename missing\t\x1b[31m" + strings.Repeat("x", 300)
	in.publish(t, message.TopicSlices, slice("slice-a"))
	in.publish(t, message.TopicResults, result("slice-a", &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: reason}))
	until(t, "the result", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "data_invalid") })
	o := in.ask(t, "slices")
	o.mustSay(t, 0, "data_invalid: end before start; filename missing")
	if lines := strings.Split(o.stdout, "\n"); len(lines) != 3 || len(lines[1]) > 250 || strings.ContainsAny(o.stdout, "\t\x1b") {
		t.Errorf("%q", o.stdout)
	}
	var page document.Page[document.Slice]
	o = in.ask(t, "slices", "--output", "json")
	if err := json.Unmarshal([]byte(o.stdout), &page); err != nil || page.Items[0].Failure.Message != reason {
		t.Errorf("%v: %s", err, o.stdout)
	}
}

func TestOneSliceIsShownWithItsAttempts(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("a/b #1"))
	in.publish(t, message.TopicResults, result("a/b #1", &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "end before start"}))
	until(t, "the result", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "data_invalid") })
	o := in.ask(t, "slices", "show", "a/b #1")
	o.mustSay(t, 0, "f.stf, frames 0 to 65", "data_invalid: end before start")
	if text := columns(o.stdout); !strings.Contains(text, "state failed 20") || !strings.Contains(text, "attempt 1 failed by p1") {
		t.Error(text)
	}
	var doc document.SliceHistory
	o = in.ask(t, "slices", "show", "a/b #1", "--run", "100001", "--output", "json")
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil || doc.Identity != "a/b #1" || !strings.Contains(string(doc.Message), `"req_id"`) {
		t.Errorf("%v: %s", err, o.stdout)
	}
	in.ask(t, "slices", "show", "a/b #1", "--run", "1").mustSay(t, 64, `idds knows no slice "a/b #1"`, "`idds slices` lists those that there are")
	in.ask(t, "slices", "show").mustSay(t, 64, "slices show needs one identity")
	other := slice("a/b #1")
	other.RunID = message.Run("100002")
	in.publish(t, message.TopicSlices, other)
	until(t, "the other slice", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "100002") })
	in.ask(t, "slices", "show", "a/b #1").mustSay(t, 64, "several runs have a slice", "100001 in default, 100002 in default", "say which by --run")
}

func TestRunCheckShowsTheFirstOfManyOutstandingSlices(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	var all []any
	for i := range 25 {
		all = append(all, slice(fmt.Sprintf("slice-%02d", i)))
	}
	in.publish(t, message.TopicSlices, all...)
	until(t, "the slices", func() bool { return strings.Count(in.ask(t, "slices").stdout, "slice-") == 25 })
	o := in.ask(t, "run", "check", "100001")
	o.mustSay(t, 0, "outstanding 25", "slice-19", "... and 5 more: `idds slices --run 100001 --limit 0 --state outstanding`")
	if strings.Contains(o.stdout, "slice-20") {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "run", "check", "100001", "--output", "quiet"); strings.Count(o.stdout, "\n") != 25 {
		t.Errorf("%s", o.stdout)
	}
	var check document.RunCheck
	o = in.ask(t, "run", "check", "100001", "--output", "json")
	if err := json.Unmarshal([]byte(o.stdout), &check); err != nil || len(check.Outstanding) != 25 {
		t.Errorf("%v: %s", err, o.stdout)
	}
}

func TestWorkersAreListedWithTheirHoldAndTheirLastWord(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	token, err := os.ReadFile(in.token(t, "pilot"))
	must(t, err)
	var reply document.WorkerReply
	must(t, rest.New(rest.Config{Base: in.url, Token: strings.TrimSpace(string(token))}).Post(t.Context(), "/v1/workers", document.WorkerReport{
		PilotID: "p1", Namespace: "default", RunID: "100001", Phase: document.WorkerEnded, Hostname: "node7", Slots: 8, InHand: []document.SliceInHand{},
		BatchSystem: "slurm", BatchID: "12", WorkerID: "tfpilot-a.3",
		Slot: &document.Slot{Cores: 4, Facts: []document.SlotFact{
			{Name: "cores", Value: "4", Source: "SLURM_CPUS_ON_NODE", Counts: true}, {Name: "cores", Value: "64", Source: "sched_getaffinity"},
		}},
		Exit: &document.WorkerLastWord{Code: 55, Name: "idle_timeout", Cause: "no slice for 2m0s", Efficiency: new(0.63)},
	}, &reply))
	if reply.At.IsZero() {
		t.Error("the answer does not say what time it is")
	}
	must(t, rest.New(rest.Config{Base: in.url, Token: strings.TrimSpace(string(token))}).Post(t.Context(), "/v1/workers", document.WorkerReport{
		PilotID: "p2", Namespace: "default", RunID: "100001", Phase: document.WorkerRunning, InHand: []document.SliceInHand{}, Hold: "held until 12:00:00: disk: no room",
	}, &reply))
	o := in.ask(t, "workers")
	o.mustSay(t, 0, "p1", "node7", "slurm 12", "ended", "idle_timeout: no slice for 2m0s", "p2", "held until 12:00:00: disk: no room")
	for _, id := range []string{"p1", "tfpilot-a.3"} {
		o = in.ask(t, "workers", "show", id)
		o.mustSay(t, 0, "slurm 12", "cores", "SLURM_CPUS_ON_NODE", "(does not count)", "55 idle_timeout", "no slice for 2m0s", "efficiency", "63 %")
		o = in.ask(t, "workers", "show", id, "--output", "json")
		var w document.Worker
		if err := json.Unmarshal([]byte(o.stdout), &w); err != nil || w.Slot == nil || len(w.Slot.Facts) != 2 {
			t.Errorf("%v: %s", err, o.stdout)
		}
	}
	for want, args := range map[string][]string{"worker nobody is not known": {"show", "nobody"}, "workers show needs one id": {"show"}} {
		if o = in.ask(t, append([]string{"workers"}, args...)...); o.status != 64 || !strings.Contains(o.stderr, want) {
			t.Errorf("%d: %s", o.status, o.stderr)
		}
	}
}

func TestPilotsAreToldTheBrokerInTheProductionForm(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	token, err := os.ReadFile(in.token(t, "pilot"))
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.url+"/metainfo/prompt_broker", http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	var got map[string]map[string]any
	must(t, json.NewDecoder(resp.Body).Decode(&got))
	for entry, destination := range map[string]string{
		"transformer_broker": "/queue/panda.slices.transformer", "transformer_broadcast_broker": "/topic/panda.transformer", "result_broker": "/topic/panda.results",
	} {
		if e := got[entry]; e["destination"] != destination || e["brokers"] != in.broker || e["use_ssl"] != false {
			t.Errorf("%s: %v", entry, e)
		}
	}
}
