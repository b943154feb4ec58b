package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

func TestAScrapeTellsWhatBecameOfSlices(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for _, identity := range []string{"a", "b", "c", "d"} {
		b.sent("7", identity, 4*time.Second)
	}
	b.result("7", "a", nil)
	b.result("7", "a", nil) // once more: absorbed
	b.result("7", "b", &message.Failure{Name: "data_range", Class: "data"})
	b.result("7", "c", &message.Failure{Name: "payload_failed", Class: "payload", Retryable: true})
	b.report(document.WorkerReport{PilotID: "p", Site: "farm", Phase: document.WorkerRunning, Slots: 2, InHand: []document.SliceInHand{
		{Identity: "d", RunID: "7", RunningSince: b.now},
	}})
	want(t, b.scrape(), map[string]float64{
		"idds_runs{state=open}": 1, "idds_runs{state=closed}": 0,
		"idds_run_slices{run=7,state=waiting}": 1, "idds_run_slices{run=7,state=running}": 1, "idds_run_slices{run=7,state=done}": 1, "idds_run_slices{run=7,state=failed}": 1,
		"idds_slices_published_total": 4, "idds_slices_done_total": 1, "idds_slices_failed_total": 1, "idds_slices_corrected_total": 0,
		"idds_results_absorbed_total": 1, "idds_results_unexplained": 1, "idds_results_unmatched_total": 0, "idds_results_unmerged_total": 0,
		"idds_slice_result_latency_seconds count": 1, "idds_slice_result_latency_seconds sum": 4,
		"idds_data_result_latency_seconds count": 1, "idds_data_result_latency_seconds sum": 5,
		"idds_slice_processing_seconds count": 1, "idds_slice_processing_seconds sum": 2,
		"idds_attempts_failed_total{class=data,name=data_range}": 1, "idds_attempts_failed_total{class=payload,name=payload_failed}": 1,
		"idds_store_commit_duration_seconds count": 9, "idds_store_commit_failures_total{reason=unavailable}": 0,
		"idds_workers{site=farm,state=running}": 1, "idds_worker_slots{site=farm}": 2, "idds_worker_slots_busy{site=farm}": 1,
	})
}

func TestCountersOfFaultsAreThereBeforeTheFirst(t *testing.T) { // of what begins with it Prometheus sees no rise
	t.Parallel()
	b := open(t, t.TempDir())
	b.metrics.Request("GET /v1/runs", http.StatusOK, time.Second, false)
	got := b.scrape()
	want(t, got, map[string]float64{
		"idds_attempts_failed_total{class=infrastructure,name=lost}": 0, "idds_attempts_failed_total{class=site,name=node_unfit}": 0,
		"idds_http_requests_total{code=5xx,operation=GET /v1/runs}": 0,
	})
	if n, there := got["idds_attempts_failed_total{class=none,name=ok}"]; there {
		t.Errorf("%g failed with nothing", n)
	}
}

func TestACorrectedSliceIsNoStepBack(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	b.sent("7", "a", 0)
	b.result("7", "a", &message.Failure{Name: "data_range", Class: "data"})
	want(t, b.scrape(), map[string]float64{"idds_slices_failed_total": 1, "idds_slices_done_total": 0})
	b.rules(func(tx ledger.Tx, l ledger.Rules) error {
		return l.Result(tx, message.SliceResult{
			RunID: message.Run("7"), Namespace: namespace, Content: message.ResultContent{State: message.StateDone, ReqID: "a", Attempt: message.NewInt(2)},
		}, b.now)
	})
	want(t, b.scrape(), map[string]float64{"idds_slices_failed_total": 1, "idds_slices_corrected_total": 1, "idds_slices_done_total": 1})
}

func TestWhatTheLedgerCountsGoesOnOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	b.sent("7", "a", 0)
	b.result("7", "a", nil)
	b.report(document.WorkerReport{PilotID: "p", Phase: document.WorkerRunning, Slots: 3, Totals: document.WorkerTotals{Done: 5}})
	must(t, b.Close())
	again := open(t, dir)
	want(t, again.scrape(), map[string]float64{
		"idds_slices_done_total": 1, "idds_slice_result_latency_seconds count": 0,
		"idds_workers{site=,state=running}": 1, "idds_worker_slots{site=}": 3,
	})
	again.report(document.WorkerReport{PilotID: "p", Phase: document.WorkerRunning, Totals: document.WorkerTotals{Done: 7}})
	want(t, again.scrape(), map[string]float64{"idds_worker_slices_total{outcome=done,site=}": 2}) // not those of before
}

func TestAScrapeNeedsNoStore(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	b.sent("7", "a", 0)
	must(t, b.Close())
	if err := b.Update(t.Context(), func(ledger.Tx) error { return nil }); err == nil {
		t.Fatal("a store that is closed takes a transaction")
	}
	want(t, b.scrape(), map[string]float64{"idds_slices_published_total": 1, "idds_run_slices{run=7,state=waiting}": 1, "idds_store_commit_failures_total{reason=refused}": 1})
}

func TestNothingOfATransactionThatFailedIsCounted(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	_ = b.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Rules{}.Sent(tx, message.Slice{RunID: message.Run("7"), Namespace: namespace, Content: message.SliceContent{ReqID: "a"}}, nil, b.now)
		must(t, err)
		return fmt.Errorf("full: %w", ledger.ErrUnavailable)
	})
	_ = b.Update(t.Context(), func(ledger.Tx) error { return context.Canceled }) // somebody has given up
	want(t, b.scrape(), map[string]float64{
		"idds_slices_published_total": 0, "idds_store_commit_failures_total{reason=unavailable}": 1, "idds_store_commit_failures_total{reason=refused}": 0,
	})
}

func TestWorkersAreCountedBySiteAndState(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	begin := time.Now().Add(time.Hour) // after the metrics', by whatever clock
	report := func(id, site string, w document.WorkerReport) {
		w.PilotID, w.Site, w.StartedAt, w.Slots = id, site, begin, 4
		b.report(w)
	}
	report("held", "farm", document.WorkerReport{Phase: document.WorkerRunning, Hold: "disk"})
	report("new", "farm", document.WorkerReport{Phase: document.WorkerStarting})
	report("worker", "other farm", document.WorkerReport{Phase: document.WorkerRunning, Totals: document.WorkerTotals{Done: 2, Released: 1, WallSeconds: 10, CPUSeconds: 8}})
	report("worker", "other farm", document.WorkerReport{Phase: document.WorkerRunning, Totals: document.WorkerTotals{Done: 3, Failed: 1, Released: 1, WallSeconds: 15, CPUSeconds: 12}})
	report("gone", "farm", document.WorkerReport{Phase: document.WorkerRunning})
	report("gone", "farm", document.WorkerReport{Phase: document.WorkerEnded, Exit: &document.WorkerLastWord{Name: "node_unfit", Class: "site"}})
	now := b.now
	b.now = now.Add(-time.Minute)
	report("silent", "farm", document.WorkerReport{Phase: document.WorkerRunning})
	report("slow", "farm", document.WorkerReport{Phase: document.WorkerDraining, HeartbeatSeconds: 60})
	b.now = now.Add(-2 * time.Hour)
	report("forgotten", "farm", document.WorkerReport{Phase: document.WorkerRunning})
	got := b.scrape()
	want(t, got, map[string]float64{
		"idds_workers{site=farm,state=held}": 1, "idds_workers{site=farm,state=starting}": 1, "idds_workers{site=farm,state=running}": 0,
		"idds_workers{site=farm,state=silent}": 1, "idds_workers{site=farm,state=draining}": 1, "idds_worker_slots{site=farm}": 12,
		"idds_workers{site=other farm,state=running}":            1,
		"idds_worker_slices_total{outcome=done,site=other farm}": 3, "idds_worker_slices_total{outcome=failed,site=other farm}": 1,
		"idds_worker_slices_total{outcome=released,site=other farm}": 1,
		"idds_worker_payload_seconds_total{site=other farm}":         15, "idds_worker_payload_cpu_seconds_total{site=other farm}": 12,
		"idds_workers_ended_total{class=site,name=node_unfit,site=farm}": 1,
	})
}

func TestLabelsAreBoundedWhateverOthersWrite(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for i := range 150 {
		b.report(document.WorkerReport{PilotID: fmt.Sprint("p", i), Site: fmt.Sprint("site", i), Phase: document.WorkerRunning})
	}
	b.report(document.WorkerReport{PilotID: "bad", Site: "\xff\n\"" + strings.Repeat("x", 10000), Phase: "no phase"})
	for i := range 30 {
		b.sent(fmt.Sprint("<script>", i), "a", 0)
		b.result(fmt.Sprint("<script>", i), "a", &message.Failure{Name: fmt.Sprint("peer", i), Class: fmt.Sprint("class", i)})
	}
	b.sent("\xff\x00"+strings.Repeat("r", 1000), "a", 0)
	got := b.scrape()
	count := map[string]int{}
	for name := range got {
		if len(name) > 300 {
			t.Errorf("a long name: %s", name)
		}
		family, _, _ := strings.Cut(name, "{")
		count[family]++
	}
	if n := count["idds_worker_slots"]; n != 101 { // 100 sites and the others
		t.Errorf("%d sites", n)
	}
	if n := count["idds_run_slices"]; n != 21*4 {
		t.Errorf("%d numbers of runs", n)
	}
	want(t, got, map[string]float64{"idds_attempts_failed_total{class=other,name=other}": 30, "idds_run_slices{run=other,state=failed}": 11})
}

func TestWorkersThatFellSilentAreForgottenAlsoWhenNobodyScrapes(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for i := range 5000 { // one every 10 s: of an hour there are 360
		b.metrics.Hear(commits.Commit{Number: uint64(i + 1), Workers: []commits.WorkerSeen{{ //nolint:gosec // small
			WorkerReport: document.WorkerReport{PilotID: fmt.Sprint("p", i), Namespace: namespace, Phase: document.WorkerRunning}, At: b.now.Add(time.Duration(i) * 10 * time.Second),
		}}})
	}
	if n := b.metrics.Kept(); n > 1000 {
		t.Errorf("%d are kept", n)
	}
}

func TestATokenOfAnotherNamespaceSeesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	if status, text := get(t, b.metrics.Handler(), access.Principal{Role: access.Viewer, Namespace: "others"}); status != http.StatusForbidden || strings.Contains(text, "idds_") {
		t.Errorf("%d %.200s", status, text)
	}
	if status, _ := get(t, b.metrics.Handler(), access.Principal{Role: access.Viewer, Namespace: namespace}); status != http.StatusOK {
		t.Errorf("one of this namespace: %d", status)
	}
}

func TestRequestsAreCountedByWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	b.metrics.Request("GET /v1/runs/{run}", http.StatusOK, time.Second, false)
	b.metrics.Request("GET /v1/runs/{run}", http.StatusNotFound, time.Second, false)
	b.metrics.Request("GET /v1/events", http.StatusOK, time.Hour, true)
	b.metrics.Request("", http.StatusTeapot, 0, false)
	got := b.scrape()
	want(t, got, map[string]float64{
		"idds_http_requests_total{code=2xx,operation=GET /v1/runs/{run}}": 1, "idds_http_requests_total{code=4xx,operation=GET /v1/runs/{run}}": 1,
		"idds_http_request_duration_seconds{operation=GET /v1/runs/{run}} count": 2,
		"idds_http_requests_total{code=2xx,operation=GET /v1/events}":            1, "idds_http_requests_total{code=4xx,operation=other}": 1,
	})
	if n, there := got["idds_http_request_duration_seconds{operation=GET /v1/events} count"]; there {
		t.Errorf("an answer that flows has a duration: %v", n)
	}
}
