package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds/api"
	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

func TestEachRoleMayDoItsOwn(t *testing.T) {
	t.Parallel()
	base := server(t)
	const report = `{"pilot_id":"p","namespace":"test","run_id":"100001","phase":"running","at":"2026-01-01T00:00:00Z","started_at":"2026-01-01T00:00:00Z",
		"hostname":"h","pid":1,"version":"v","slots":1,"link_proven":true,"in_hand":[],"totals":{"done":0,"failed":0,"released":0,"held":0,"junk":0,"wall_seconds":0,"cpu_seconds":0}}`
	roles := []access.Role{"", access.Pilot, access.Harvester, access.Operator, access.Viewer}
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
	_, b = call(t, http.MethodGet, base+"/metainfo/prompt_broker", access.Pilot, "")
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
	if status, _ := call(t, http.MethodGet, base+"/v1/runs/"+run+"/slices/none", access.Viewer, ""); status != http.StatusNotFound {
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
	status, _ := call(t, http.MethodPost, server(t)+"/v1/workers", access.Pilot, `{"pilot_id":"`+string(bytes.Repeat([]byte("x"), 5<<20))+`"}`)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}

func TestMergedHistogramsComeAsAROOTFile(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	resp, text := request(t, http.MethodGet, base+"/v1/runs/"+run+"/histograms.root", secrets[access.Viewer], "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-root" || !strings.HasPrefix(text, "root") ||
		resp.Header.Get("Content-Disposition") != "attachment; filename=run-"+run+".root" {
		t.Errorf("%d, %v, %.10q", resp.StatusCode, resp.Header, text)
	}
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		return ledger.Rules{}.Announce(tx, message.RunImminentWorker{RunID: message.Run("2"), Namespace: namespace}, time.Now())
	}))
	if resp, text := request(t, http.MethodGet, base+"/v1/runs/2/histograms.root", secrets[access.Viewer], ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
}
