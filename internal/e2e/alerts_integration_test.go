//go:build integration

package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
)

// watch has a real Prometheus watch a chain, and the harvester's file if there is one. Its rules are those that are shipped, but that
// they wait for a moment alone.
func (c *chain) watch(t *testing.T, harvesterFile http.HandlerFunc) promServer {
	t.Helper()
	status, token, text := tool(t, "idds", "token", "--state", c.Path("idds"), "viewer")
	if status != 0 {
		t.Fatal(text)
	}
	if harvesterFile == nil {
		harvesterFile = func(http.ResponseWriter, *http.Request) {}
	}
	collector := httptest.NewServer(harvesterFile)
	t.Cleanup(collector.Close)
	impatient := regexp.MustCompile(`(?m)^( +for): .*$`).ReplaceAllString(rules(t), "$1: 5s")
	s := startPrometheus(t, strings.TrimPrefix(c.IDDS, "http://"), strings.TrimPrefix(collector.URL, "http://"), token, impatient)
	await(t, "both targets", func() bool { return s.value(t, `sum(up)`) == 2 })
	return s
}

// fired are the alerts that have fired until now.
func (s promServer) fired(t *testing.T) (names []string) {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric struct {
					Name string `json:"alertname"`
				}
			}
		}
	}
	s.get(t, "/api/v1/query?query="+`count+by(alertname)(max_over_time(ALERTS{alertstate="firing"}[1h]))`, &answer)
	for _, r := range answer.Data.Result {
		names = append(names, r.Metric.Name)
	}
	slices.Sort(names)
	return names
}

// fires waits until alerts have fired.
func (s promServer) fires(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		await(t, name, func() bool { return slices.Contains(s.fired(t), name) })
	}
}

// andNoOther holds what has fired against what may have.
func (s promServer) andNoOther(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range s.fired(t) {
		if !slices.Contains(names, name) {
			t.Errorf("%s fires for a fault that it does not name", name)
		}
	}
}

// unseen are those that may fire where the test itself works on slices: no worker reports.
var unseen = []string{"SlicesWaitForNobody", "WorkersMissing"}

func TestIntegrationNoAlertFiresInAHealthyRun(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	payload := payloadFile(t, counts)
	for _, name := range []string{"a", "b"} { // as many as a run that asks for one may be given
		must(t, c.StartPilot(t.Context(), name, "--run", run, "--payload", payload))
	}
	s := c.watch(t, nil)
	await(t, "the workers in Prometheus", func() bool { return s.value(t, `sum(idds_workers)`) == 2 })
	c.runImminent(t, 1)
	for i := range 30 {
		c.publish(t, slice(i))
		await(t, "its result in Prometheus", func() bool { return s.value(t, `sum(idds_slices_done_total)`) >= float64(i) })
	}
	c.endRun(t, 30)
	c.check(t, document.SliceCounts{Published: 30, Done: 30})
	s.andNoOther(t)
}

func TestIntegrationAlertsFireForSlicesThatNobodyTakes(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	s := c.watch(t, nil)
	c.runImminent(t, 2)
	for i := range 25 {
		c.publish(t, slice(i))
	}
	s.fires(t, "SlicesWaitForNobody", "WorkersMissing")
	s.andNoOther(t, "SlicesWaitForNobody", "WorkersMissing")
	must(t, c.StartPilot(t.Context(), "pilot", "--run", "100002", "--first-slice-timeout", "10m"))
	s.fires(t, "SlotsIdleWhileSlicesWait")
	c.endRun(t, 30) // five that never come
	s.fires(t, "RunStaysEnding")
	s.andNoOther(t, "SlicesWaitForNobody", "WorkersMissing", "SlotsIdleWhileSlicesWait", "RunStaysEnding")
}

func TestIntegrationAlertsFireForResultsThatAreBadOrLate(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	s := c.watch(t, nil)
	await(t, "the counters", func() bool { return s.value(t, `count(idds_attempts_failed_total{name="node_unfit"})`) == 1 })
	w := c.take(t)
	c.runImminent(t, 0)
	unfit := &message.Failure{Code: 35, Name: "node_unfit", Class: "site", Message: "no disk"}
	for i := range 20 {
		c.publish(t, slice(i, func(m *message.SliceContent) { m.STFCreatedAt = message.At(time.Now().Add(-time.Minute)) }))
		c.mustWork(t, w, func(message.Slice) *message.Failure {
			if i < 4 {
				return nil
			}
			return unfit
		})
	}
	s.fires(t, "ResultsLate", "SlicesFail", "AttemptsFailAtSites")
	s.andNoOther(t, append(slices.Clone(unseen), "ResultsLate", "SlicesFail", "AttemptsFailAtSites")...)
}

func TestIntegrationAlertsFireForMessagesThatDoNotAddUp(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	s := c.watch(t, nil)
	await(t, "the counters", func() bool { return s.value(t, `count(idds_messages_rejected_total)`) == 2 })
	w := c.take(t)
	c.runImminent(t, 0)
	await(t, "the run", func() bool { return s.value(t, `idds_runs{state="open"}`) == 1 }) // what comes twice before it is explained by that
	for i, bins := range []string{`[1]`, `[1,2]`} {                                        // two versions of a payload
		c.publish(t, slice(i))
		d, err := w.Next(soon(t))
		must(t, err)
		must(t, d.Ack(soon(t)))
		m, err := message.Decode[message.Slice](d.Body)
		must(t, err)
		result := fmt.Appendf(nil, `{"msg_type": "slice_result", "run_id": %q, "created_at": %q, "namespace": %q, "content": {
			"requested_at": %q, "state": "done", "req_id": %q, "attempt": 1, "pilot_id": "p", "result": {"state": true},
			"histograms": [{"name": "h", "nbins": %d, "low": 0, "high": 1, "counts": %s, "entries": 1, "sum_w": 1, "sum_wx": 0.5, "sum_wx2": 0.25}]}}`,
			run, time.Now().UTC().Format(time.RFC3339Nano), namespace, m.CreatedAt.Time().Format(time.RFC3339Nano), m.Content.ReqID, i+1, bins)
		for range i + 1 { // the second comes twice, from a broker that absorbs nothing
			c.publishTo(t, message.TopicResults, namespace, result)
		}
	}
	for i := range 400 {
		c.publishBody(t, []byte("junk "+strconv.Itoa(i)))
	}
	c.publishTo(t, message.TopicSlices, namespace, []byte(`{"msg_type": "slice", "run_id": "100001", "namespace": "others", "content": {"req_id": "x"}}`))
	s.fires(t, "HistogramsDoNotFit", "ResultsUnexplained", "Junk", "ForeignMessages")
	s.andNoOther(t, append(slices.Clone(unseen), "HistogramsDoNotFit", "ResultsUnexplained", "Junk", "ForeignMessages")...)
}

// publishTo sends a message whose header says a namespace, whatever its body does.
func (c *chain) publishTo(t *testing.T, destination, namespace string, body []byte) {
	t.Helper()
	must(t, c.link.Publish(soon(t), broker.Out{Destination: destination, Body: body, Headers: []string{"persistent", "true", "run_id", run, "namespace", namespace}}))
}

func TestIntegrationAlertsFireForABrokerThatComesAndGoes(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	line := c.breakable(t)
	s := c.watch(t, nil)
	connections := func() float64 { return s.value(t, "sum(idds_broker_connections_total)") }
	await(t, "the first connection", func() bool { return connections() > 0 })
	for range 7 {
		before := connections()
		line.Reset()
		await(t, "another connection", func() bool { return connections() > before })
	}
	s.fires(t, "IddsBrokerFlaps")
	line.Set(faultproxy.Conditions{Refuse: true})
	line.Reset()
	s.fires(t, "IddsBrokerDisconnected")
	must(t, c.Kill("idds"))
	s.fires(t, "IddsDown")
	s.andNoOther(t, "IddsBrokerFlaps", "IddsBrokerDisconnected", "IddsDown")
}

func TestIntegrationAlertsFireForAStoreThatIsSlowOrAway(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	s := c.watch(t, nil)
	w := c.take(t)
	c.runImminent(t, 0)

	// Somebody else works on the file, for a while each time.
	db, err := sql.Open("sqlite", "file:"+c.Path("idds", "idds.db")+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	lock := func(statement string) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), statement)
		must(t, err)
	}
	n := 0
	work := func() {
		t.Helper()
		c.publish(t, slice(n))
		c.mustWork(t, w, good)
		n++
	}
	for !slices.Contains(s.fired(t), "IddsStoreSlow") {
		if n > 30 {
			t.Fatal("no IddsStoreSlow")
		}
		lock("BEGIN IMMEDIATE")
		work()
		asked := time.Now()
		await(t, "time enough to count as slow", func() bool { return time.Since(asked) > 2*time.Second })
		lock("ROLLBACK")
		await(t, "what waited", func() bool { return s.value(t, "sum(idds_slices_done_total)") == float64(n) })
	}
	lock("BEGIN IMMEDIATE") // for good
	work()
	s.fires(t, "IddsStoreUnavailable", "IddsBehind")
	lock("ROLLBACK")
	await(t, "what waited", func() bool { return s.value(t, "sum(idds_slices_done_total)") == float64(n) })
	s.andNoOther(t, append(slices.Clone(unseen), "IddsStoreSlow", "IddsStoreUnavailable", "IddsBehind")...)
}

func TestIntegrationAnAlertFiresForRequestsThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--oidc-issuer", "http://127.0.0.1:1", "--oidc-audience", "idds", "--oidc-groups", "g=viewer")) // where nobody is
	s := c.watch(t, nil)
	_, viewer, _ := tool(t, "idds", "token", "--state", c.Path("idds"), "viewer")
	if status, text := c.sees(t, strings.TrimSpace(viewer)); status != http.StatusOK {
		t.Fatal(status, text)
	}
	await(t, "a request in Prometheus", func() bool {
		return s.value(t, `count(idds_http_requests_total{operation="GET /v1/runs",code="5xx"})`) == 1
	})
	for range 60 { // a tenth of a request in a second, over the five minutes that are looked at, is half of them
		if status, text := c.sees(t, "a.b.c"); status != http.StatusServiceUnavailable {
			t.Fatal(status, text)
		}
	}
	s.fires(t, "IddsErrors")
	s.andNoOther(t, "IddsErrors")
}

func TestIntegrationAlertsFireForWorkersThatVanishOrAreHeld(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	unfit := filepath.Join(t.TempDir(), "unfit")
	must(t, os.WriteFile(unfit, []byte("#!/bin/sh\necho no licence\nexit 1\n"), 0o700))
	for _, name := range []string{"a", "b", "c"} {
		must(t, c.StartPilot(t.Context(), name, "--run", run, "--site", "killed", "--first-slice-timeout", "10m"))
	}
	must(t, c.StartPilot(t.Context(), "held", "--run", run, "--site", "held", "--node-test", unfit))
	s := c.watch(t, nil)
	await(t, "all workers", func() bool { return s.value(t, `sum(idds_workers{state!="silent"})`) == 4 })
	s.fires(t, "WorkersHeld")
	s.andNoOther(t, "WorkersHeld")
	for _, name := range []string{"a", "b", "c"} {
		must(t, syscall.Kill(c.PID(name), syscall.SIGKILL))
	}
	s.fires(t, "WorkersSilent")
	s.andNoOther(t, "WorkersHeld", "WorkersSilent")
}

func TestIntegrationAlertsFireForAHarvesterInTrouble(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	file := filepath.Join(t.TempDir(), "harvester.prom")
	must(t, c.StartIDDS(t.Context()))
	must(t, c.StartHarvester(t.Context(), "--metrics-file", file, "--pilot-payload", "none-such.toml", "--pilot-path", "/bin/false"))
	await(t, "the harvester's file", func() bool { _, err := os.Stat(file); return err == nil })
	var dead atomic.Bool
	moment := regexp.MustCompile(`(?m)^(harvester_(?:trouble_since|(last_look))_timestamp_seconds\{.*\}) ([0-9.e+]+)$`)
	s := c.watch(t, func(w http.ResponseWriter, _ *http.Request) { // as it will be in twenty minutes, if nothing changes
		text, _ := os.ReadFile(file)
		_, _ = w.Write(moment.ReplaceAllFunc(text, func(line []byte) []byte {
			parts := moment.FindSubmatch(line)
			if len(parts[2]) > 0 && !dead.Load() { // it will look again
				return line
			}
			at, _ := strconv.ParseFloat(string(parts[3]), 64)
			return fmt.Appendf(nil, "%s %f", parts[1], at-1200)
		}))
	})
	c.runImminent(t, 1)
	s.fires(t, "HarvesterPaused")
	must(t, c.Kill("idds"))
	s.fires(t, "HarvesterTrouble")
	must(t, c.Kill("harvester"))
	dead.Store(true)
	s.fires(t, "HarvesterSilent")
	s.andNoOther(t, "HarvesterPaused", "HarvesterTrouble", "HarvesterSilent", "IddsDown", "WorkersMissing")
}
