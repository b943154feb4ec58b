package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func post(t *testing.T, base, path string, role access.Role, document any) (int, string) {
	t.Helper()
	body, err := json.Marshal(document)
	must(t, err)
	resp, text := request(t, http.MethodPost, base+path, secrets[role], string(body))
	return resp.StatusCode, text
}

func TestLinesOfLogsComeInAndAreFound(t *testing.T) {
	t.Parallel()
	base := server(t)
	lines := document.LogBatch{Records: []document.LogRecord{
		{Component: "p1", Role: "pilot", Level: "INFO", Message: "slice taken", RunID: run, Slice: "s1", At: time.Now()},
		{Component: "h1", Role: "harvester", Level: "ERROR", Message: "<script>alert(1)</script> password=hush-hush", Attrs: map[string]string{"token": "hush-hush"}},
	}}
	for role, want := range map[access.Role]int{access.Viewer: 403, access.Pilot: 200} {
		if status, text := post(t, base, "/v1/logs", role, lines); status != want || want == 200 && !strings.Contains(text, `"taken":2`) {
			t.Errorf("%s: %d, %s", role, status, text)
		}
	}
	var next string
	for want, q := range map[string]url.Values{
		"p1 h1": {}, "p1": {"run": {run}, "component": {"p1"}, "slice": {"s1"}, "text": {"TAKEN"}}, "h1": {"level": {"WARN"}, "role": {"harvester"}},
		"": {"since": {time.Now().Add(time.Hour).Format(time.RFC3339)}},
	} {
		page := read[document.RecentPage[document.LogRecord]](t, base+"/v1/logs?"+q.Encode())
		var got []string
		for _, l := range page.Items {
			got = append(got, l.Component)
			if l.Namespace != namespace || strings.Contains(l.Message, "hush-hush") || l.Attrs["token"] == "hush-hush" {
				t.Errorf("%+v", l)
			}
		}
		if strings.Join(got, " ") != want || page.Since.IsZero() {
			t.Errorf("%v: %v, want %s", q, got, want)
		}
		next = page.Next
	}
	if page := read[document.RecentPage[document.LogRecord]](t, base+"/v1/logs?after="+next); len(page.Items) != 0 || page.Next != next {
		t.Errorf("%+v", page)
	}
	if resp, text := request(t, http.MethodGet, base+"/v1/logs?after=nonsense", secrets[access.Viewer], ""); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
	theirs := tokenFor(t, base, access.Operator, "theirs")
	if resp, text := request(t, http.MethodPost, base+"/v1/logs", theirs.Secret, fmt.Sprintf(`{"records":[{"namespace":%q,"component":"x","level":"INFO","message":"x"}]}`, namespace)); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
	if resp, text := request(t, http.MethodPost, base+"/v1/logs", theirs.Secret, `{"records":[{"component":"x","level":"INFO","message":"mine"}]}`); resp.StatusCode != http.StatusOK {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
	if _, text := request(t, http.MethodGet, base+"/v1/logs", theirs.Secret, ""); !strings.Contains(text, "mine") || strings.Contains(text, "slice taken") {
		t.Error(text)
	}
	if _, text := request(t, http.MethodGet, base+"/v1/logs?namespace="+namespace, secrets[access.Viewer], ""); strings.Contains(text, "mine") {
		t.Error(text)
	}
}

func TestComponentsSayThatTheyAreAlive(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		return tx.PutWorker(document.WorkerReport{PilotID: "p1", Namespace: namespace, Phase: document.WorkerRunning, Slots: 2, HeartbeatSeconds: 60}, time.Now())
	}))
	beat := document.Component{Name: "site-a", Role: "harvester", State: "processing", StartedAt: time.Now().Add(time.Hour), HeartbeatSeconds: 10, LastSeen: time.Now().Add(time.Hour)}
	for role, want := range map[access.Role]int{access.Viewer: 403, access.Harvester: 200} {
		if status, text := post(t, base, "/v1/components", role, beat); status != want {
			t.Errorf("%s: %d, %s", role, status, text)
		}
	}
	var names []string
	for after := ""; ; {
		page := read[document.Page[document.Component]](t, base+"/v1/components?limit=2&after="+after)
		for _, c := range page.Items {
			names = append(names, c.Name)
			if !c.Alive || c.Namespace != namespace || c.LastSeen.After(time.Now().Add(time.Minute)) || c.Name == "site-a" && (c.State != "PROCESSING" || !c.StartedAt.IsZero()) {
				t.Errorf("%+v", c)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "idds idds/backlog idds/broker idds/clock idds/store idds/subscriptions site-a p1" {
		t.Error(got)
	}
	if page := read[document.Page[document.Component]](t, base+"/v1/components?role=pilot&alive=true"); len(page.Items) != 1 || page.Items[0].State != "READY" {
		t.Errorf("%+v", page)
	}
}

func TestFilesOfTheDataSideAreListed(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		for i := range 5 {
			name := fmt.Sprintf("%d.tf", i)
			if err := tx.PutDocument(ledger.TFFiles, document.TFFile{Filename: name, STF: "f.stf"}, namespace, run, "f.stf", name); err != nil {
				return err
			}
		}
		if err := tx.PutDocument(ledger.Detectors, document.Detector{State: "run", STFs: 1}, namespace, run); err != nil {
			return err
		}
		return tx.PutDocument(ledger.STFFiles, ledger.Announced{STF: document.STF{Status: "ready"}, SizeBytes: 17}, namespace, run, "f.stf")
	}))
	var names []string
	for after := ""; ; {
		page := read[document.Page[document.TFFile]](t, base+"/v1/tf-files?run="+run+"&stf=%2Fdata%2Ff.stf&limit=2&after="+after)
		for _, f := range page.Items {
			names = append(names, f.Filename)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if strings.Join(names, " ") != "0.tf 1.tf 2.tf 3.tf 4.tf" {
		t.Error(names)
	}
	files := read[document.Page[document.STFFile]](t, base+"/v1/files?run="+run).Items
	if len(files) != 1 || files[0].TFFiles != 5 || files[0].SizeBytes != 17 || files[0].Status != "ready" || files[0].Slices != 12 {
		t.Errorf("%+v", files)
	}
	if r := read[document.Run](t, base+"/v1/runs/"+run); r.Detector == nil || r.Detector.State != "run" {
		t.Errorf("%+v", r)
	}
}
