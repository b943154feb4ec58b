package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/live"
	"tfpilot/idds/record"
	"tfpilot/idds/roothist"
	"tfpilot/idds/sqlite"
	"tfpilot/idds/tokens"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/recent"
)

const (
	namespace = "test"
	run       = "100001"
)

// secrets are tokens by role; a role without one asks without.
var secrets = map[ledger.Role]string{
	ledger.RolePilot: "pilot-token-0123456", ledger.RoleHarvester: "harvester-token-0123", ledger.RoleOperator: "operator-token-0123", ledger.RoleViewer: "viewer-token-0123456",
}

// server is the whole interface over HTTP on a store with one run of 12 slices, of which 3 are done and 1 has failed.
func server(t *testing.T) string {
	t.Helper()
	url, _ := serverAndStore(t)
	return url
}

func serverAndStore(t *testing.T) (string, ledger.Store) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	must(t, store.Update(t.Context(), fill))
	return serverOn(t, store, api.Config{}), store
}

// serverOn is the interface on a store, with tokens, and a broker for one namespace.
func serverOn(t *testing.T, store ledger.Store, cfg api.Config) string {
	t.Helper()
	return serverWithin(t, store, cfg, 0)
}

// serverWithin is the same with a limit on how long a request and its answer may take; none when 0.
func serverWithin(t *testing.T, store ledger.Store, cfg api.Config, limit time.Duration) string {
	t.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run: nothing here needs the broker
	must(t, err)
	var feed *live.Feed
	store = ledger.Watch(store, func(c ledger.Commit) {
		if feed != nil { // which nothing is told before the server listens
			feed.Hear(c)
		}
	})
	service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	file := map[string]ledger.Role{}
	for role, token := range secrets {
		file[token] = role
	}
	cfg.Tokens, err = tokens.Open(t.Context(), store, file, time.Now)
	must(t, err)
	entry := func(destination string) *message.BrokerEntry {
		return &message.BrokerEntry{Destination: destination, Brokers: []string{"broker:61613"}, Username: "u", Password: "p"}
	}
	cfg.Namespace, cfg.Broker = namespace, map[string]message.PromptBroker{namespace: {
		TransformerBroker: entry(message.QueueSlicesWorkers), TransformerBroadcastBroker: entry(message.TopicTransformer), ResultBroker: entry(message.TopicResults),
	}}
	memory := recent.New(nil)
	known := record.New(store, memory, logging.Discard(), record.Config{Namespace: namespace})
	cfg.Record = api.Record{Recent: memory, Components: record.NewRoll(known, service).Components, Compare: record.Compare, Beat: known.Report}
	feed = live.New(live.Config{Service: service, Store: store, Namespace: namespace})
	cfg.Feed, cfg.ROOT = feed, roothist.Encode
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- feed.Run(ctx) }()
	srv := httptest.NewUnstartedServer(api.Handler(service, store, cfg))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = limit, limit
	srv.Start()
	t.Cleanup(func() {
		cancel() // streams end with it
		must(t, <-ended)
		srv.Close()
	})
	return srv.URL
}

func fill(tx ledger.Tx) error {
	var l ledger.Rules
	now := time.Now()
	if err := l.Announce(tx, message.RunImminentWorker{
		RunID: message.Run(run), Namespace: namespace, Content: message.RunImminentWorkerContent{TargetWorkerCount: message.NewInt(5)},
	}, now); err != nil {
		return err
	}
	for i := range 12 {
		m := message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(now), Namespace: namespace,
			Content: message.SliceContent{ReqID: message.Text("s" + strconv.Itoa(10+i)), Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9)},
		}
		if _, err := l.Sent(tx, m, []byte("{}"), now); err != nil {
			return err
		}
		if i > 3 {
			continue
		}
		h := hist.New1D("h", "title", "", 2, 0, 2)
		h.Fill(1)
		pictures, err := json.Marshal(hist.Set{*h})
		if err != nil {
			return err
		}
		r := message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
			Content: message.ResultContent{State: message.StateDone, ReqID: m.Content.ReqID, Counts: map[string]int64{"events": 2}, Histograms: pictures},
		}
		if i == 3 {
			r.Content.State, r.Content.Counts, r.Content.Histograms = message.StateFailed, nil, nil
			r.Content.Failure = &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "why"}
		}
		if err := l.Result(tx, r, now); err != nil {
			return err
		}
	}
	return nil
}

// call makes a request as a role and returns status and body.
func call(t *testing.T, method, url string, role ledger.Role, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if token := secrets[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, b
}

func read[T any](t *testing.T, url string) T {
	t.Helper()
	status, b := call(t, http.MethodGet, url, ledger.RoleViewer, "")
	var out T
	if err := json.Unmarshal(b, &out); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %s, %v", url, status, b, err)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachRoleMayDoItsOwn(t *testing.T) {
	t.Parallel()
	base := server(t)
	const report = `{"pilot_id":"p","namespace":"test","run_id":"100001","phase":"running","at":"2026-01-01T00:00:00Z","started_at":"2026-01-01T00:00:00Z",
		"hostname":"h","pid":1,"version":"v","slots":1,"link_proven":true,"in_hand":[],"totals":{"done":0,"failed":0,"released":0,"held":0,"junk":0,"wall_seconds":0,"cpu_seconds":0}}`
	roles := []ledger.Role{"", ledger.RolePilot, ledger.RoleHarvester, ledger.RoleOperator, ledger.RoleViewer}
	for _, c := range []struct {
		method, path, body string
		want               [5]int // in the order of roles
	}{
		{http.MethodGet, "/ping", "", [5]int{200, 200, 200, 200, 200}},
		{http.MethodGet, "/metainfo/prompt_broker", "", [5]int{401, 200, 403, 403, 403}},
		{http.MethodGet, "/v1/runs", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/runs/100001", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/runs/100001/check", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/runs/100001/histograms", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/runs/5", "", [5]int{401, 404, 404, 404, 404}},
		{http.MethodGet, "/v1/slices", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/slices?after=odd", "", [5]int{401, 422, 422, 422, 422}},
		{http.MethodGet, "/v1/slices?state=odd", "", [5]int{401, 422, 422, 422, 422}},
		{http.MethodPost, "/v1/workers", report, [5]int{401, 200, 403, 200, 403}},
		{http.MethodPost, "/v1/workers", "{", [5]int{401, 400, 403, 400, 403}},
		{http.MethodGet, "/v1/workers", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/demand", "", [5]int{401, 200, 200, 200, 200}},
		{http.MethodGet, "/v1/nothing", "", [5]int{404, 404, 404, 404, 404}},
	} {
		for i, role := range roles {
			if status, b := call(t, c.method, base+c.path, role, c.body); status != c.want[i] {
				t.Errorf("%s %s as %q: %d, want %d: %s", c.method, c.path, role, status, c.want[i], b)
			}
		}
	}
	if status, _ := call(t, http.MethodGet, base+"/v1/runs", "unheard", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}

func TestTheProductionCallsAnswerAsThere(t *testing.T) {
	t.Parallel()
	base := server(t)
	_, b := call(t, http.MethodGet, base+"/ping", "", "")
	if got := strings.TrimSpace(string(b)); got != `{"Status":"OK"}` {
		t.Errorf("ping: %s", got)
	}
	_, b = call(t, http.MethodGet, base+"/metainfo/prompt_broker", ledger.RolePilot, "")
	var got, want any
	must(t, json.Unmarshal(b, &got))
	entry := func(destination string) string {
		return `{"brokers":"broker:61613","username":"u","password":"p","destination":"` + destination +
			`","use_ssl":false,"ssl_ca_certs":null,"resolve_hostnames":false}`
	}
	must(t, json.Unmarshal([]byte(`{"transformer_broker":`+entry("/queue/panda.slices.transformer")+
		`,"transformer_broadcast_broker":`+entry("/topic/panda.transformer")+`,"result_broker":`+entry("/topic/panda.results")+`}`), &want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARunAddsUp(t *testing.T) {
	t.Parallel()
	base := server(t)
	check := read[document.RunCheck](t, base+"/v1/runs/"+run+"/check")
	want := document.SliceCounts{Published: 12, Done: 3, Failed: 1, Outstanding: 8}
	if check.Slices != want || !check.OK || len(check.Outstanding) != 8 || check.Counts["events"] != 6 || check.State != document.RunOpen {
		t.Errorf("%+v", check)
	}
	demand := read[document.Demand](t, base+"/v1/demand")
	if len(demand.Demands) != 1 || demand.Demands[0].Wanted != 5 {
		t.Errorf("%+v", demand)
	}
	if h := read[api.Histograms](t, base+"/v1/runs/"+run+"/histograms").Histograms.Find("h"); h == nil || h.Entries != 3 {
		t.Errorf("%+v", h)
	}
}

func TestSlicesComeInPagesAndByState(t *testing.T) {
	t.Parallel()
	base := server(t)
	var got []string
	for next := ""; ; {
		page := read[document.Page[document.Slice]](t, base+"/v1/slices?run="+run+"&limit=5&after="+next)
		for _, s := range page.Items {
			got = append(got, s.Identity)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if len(got) != 12 || got[0] != "s10" || got[11] != "s21" {
		t.Errorf("got %v", got)
	}
	failed := read[document.Page[document.Slice]](t, base+"/v1/slices?state=failed").Items
	if len(failed) != 1 || failed[0].Failure == nil || failed[0].Failure.Message != "why" || len(failed[0].Attempts) != 1 {
		t.Errorf("%+v", failed)
	}
}

func TestFailuresAndFilesLeadToTheirSlicesAndThoseToTheirHistory(t *testing.T) {
	t.Parallel()
	base := server(t)
	failures := read[document.Page[document.FailureCount]](t, base+"/v1/failures?run="+run).Items
	if want := []document.FailureCount{{Class: "data", Name: "data_invalid", Failed: 1}}; !cmp.Equal(failures, want) {
		t.Errorf("%+v", failures)
	}
	files := read[document.Page[document.STFFile]](t, base+"/v1/files").Items
	if len(files) != 1 || files[0].Filename != "f.stf" || files[0].Slices != 12 || files[0].Done != 3 || files[0].Failed != 1 || files[0].Outstanding != 8 {
		t.Errorf("%+v", files)
	}
	for query, want := range map[string]int{"class=data": 1, "reason=data_invalid": 1, "reason=none": 0, "run=" + run + "&filename=f.stf": 12, "worker=nobody": 0} {
		if got := read[document.Page[document.Slice]](t, base+"/v1/slices?"+query).Items; len(got) != want {
			t.Errorf("%s: %d slices, want %d", query, len(got), want)
		}
	}
	h := read[document.SliceHistory](t, base+"/v1/runs/"+run+"/slices/s13")
	var told []string
	for _, e := range h.Events {
		told = append(told, e.What+" "+e.Details)
	}
	if got := strings.Join(told, ", "); got != "created , sent , finished data_invalid: why, final failed" || h.State != "failed" {
		t.Errorf("%s, %+v", got, h)
	}
	if status, _ := call(t, http.MethodGet, base+"/v1/runs/"+run+"/slices/none", ledger.RoleViewer, ""); status != http.StatusNotFound {
		t.Errorf("a slice that is not there: %d", status)
	}
}

func TestTheServiceDescribesItself(t *testing.T) {
	t.Parallel()
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	_, b := call(t, http.MethodGet, server(t)+"/openapi.json", "", "")
	must(t, json.Unmarshal(b, &doc))
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/v1/runs/{run}/check"]["get"] == nil || len(doc.Paths) < 9 {
		t.Errorf("openapi %s with %d paths", doc.OpenAPI, len(doc.Paths))
	}
}

func TestAHugeReportIsRefused(t *testing.T) {
	t.Parallel()
	status, _ := call(t, http.MethodPost, server(t)+"/v1/workers", ledger.RolePilot, `{"pilot_id":"`+string(bytes.Repeat([]byte("x"), 5<<20))+`"}`)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}

func TestWhatTheStoreDoesNotGiveIsNoFaultOfTheRequest(t *testing.T) {
	t.Parallel()
	url, store := serverAndStore(t)
	must(t, store.Close())
	for _, path := range []string{"/v1/runs", "/v1/slices", "/v1/runs/" + run + "/check", "/v1/workers"} {
		if status, text := call(t, http.MethodGet, url+path, ledger.RoleViewer, ""); status != http.StatusServiceUnavailable || !strings.Contains(string(text), "the store") {
			t.Errorf("%s: %d, %s", path, status, text)
		}
	}
	if status, _ := call(t, http.MethodGet, url+"/ping", "", ""); status != http.StatusOK {
		t.Errorf("/ping: %d", status)
	}
}

// sick is a store that answers as it is told to.
type sick struct {
	ledger.Store

	findRuns func() error
}

func (s sick) FindRuns(context.Context, ledger.RunFilter) ([]ledger.Run, error) {
	return nil, s.findRuns()
}

func TestAStoreThatLetsUsInNoMoreMayDoSoLater(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	url := serverOn(t, sick{store, func() error {
		return exitcode.New(exitcode.NoCredential, "the store: password authentication failed: password=hush")
	}}, api.Config{})
	status, text := call(t, http.MethodGet, url+"/v1/runs", ledger.RoleViewer, "")
	if status != http.StatusServiceUnavailable || !strings.Contains(string(text), "authentication failed") || strings.Contains(string(text), "hush") {
		t.Errorf("%d, %s", status, text)
	}
}

func TestABugIsAnAnswerAndStandsInTheLog(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	var said bytes.Buffer
	url := serverOn(t, sick{store, func() error { panic("all is lost") }}, api.Config{Log: slog.New(slog.NewTextHandler(&said, nil))})
	status, text := call(t, http.MethodGet, url+"/v1/runs/5", ledger.RoleViewer, "")
	if status != http.StatusInternalServerError || !strings.Contains(string(text), `"status":500`) || strings.Contains(string(text), "lost") {
		t.Errorf("%d, %s", status, text)
	}
	if log := said.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "all is lost") || !strings.Contains(log, "/v1/runs/5") {
		t.Errorf("the log has %q", log)
	}
}

// mute is an issuer that does not answer.
type mute struct{}

func (mute) Identify(context.Context, string) (ledger.Principal, error) {
	return ledger.Principal{}, ledger.ErrNoIssuer
}

func TestWhoSendsTokensThatCannotBeCheckedDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	_, store := serverAndStore(t)
	var said bytes.Buffer
	url := serverOn(t, store, api.Config{Issuer: mute{}, Log: slog.New(slog.NewTextHandler(&said, nil))})
	for range 20 {
		if resp, text := request(t, http.MethodGet, url+"/v1/runs", "a.b.c", ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d, %s", resp.StatusCode, text)
		}
	}
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, said.String())
	}
}

func TestMergedHistogramsComeAsAROOTFile(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	resp, text := request(t, http.MethodGet, base+"/v1/runs/"+run+"/histograms.root", secrets[ledger.RoleViewer], "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-root" || !strings.HasPrefix(text, "root") ||
		resp.Header.Get("Content-Disposition") != "attachment; filename=run-"+run+".root" {
		t.Errorf("%d, %v, %.10q", resp.StatusCode, resp.Header, text)
	}
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		return ledger.Rules{}.Announce(tx, message.RunImminentWorker{RunID: message.Run("2"), Namespace: namespace}, time.Now())
	}))
	if resp, text := request(t, http.MethodGet, base+"/v1/runs/2/histograms.root", secrets[ledger.RoleViewer], ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
}
