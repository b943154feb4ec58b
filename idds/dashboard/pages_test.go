package dashboard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

func TestEachPageSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.says("/runs", run, "open", "Slice → result")
	s.says("/runs?state=open", run)
	s.says("/runs?state=closed", "No run is closed.")
	s.says("/runs/"+run, "published 5 = done 2 + failed 1 + outstanding 2", "swf.100001.000000.stf", "27.3 MB", "1a2b3c4d", "swf.100001.000000_slice_002.tf",
		"tfreco 1.2", "data_invalid", "events 200", "3 2 1 0 10 s", "1 held by pilots, 1 waiting for their next attempt", "1 on the control-room page")
	s.says("/runs/"+run+"/slices/s0", "its STF was written", "+8.500 s", "payload runs", "Results that changed nothing", "within the aim of 10 s", "slice_000.tf", `"req_id": "s0"`)
	s.says("/runs/"+run+"/slices/s2", "frames are missing: "+nasty, "for good", "the producer is named in the log")
	s.says("/runs/"+run+"/slices/s3", "until its next attempt", "signal 11", "waits for attempt 2", "Why 1 failed pilot-2 node1.example.org on the queue")
	s.says("/runs/"+run+"/slices/s4", "held by pilot-1 on node1.example.org", "payload runs", "so far")
	s.says("/slices", "s0", "s4", "done", "outstanding", "waiting", "failed")
	s.says("/failures", "data_invalid", "The data's", "payload_crashed", "The payload's", "run it under `wrapper run`")
	s.says("/failures?run=none", "No slice of run none has failed")
	s.update(func(tx ledger.Tx) error { // the one that crashed is done at its second attempt
		at := time.Now()
		m := published(namespace, run, "s3", "", 0, at)
		m.Content.Attempt = message.NewInt(2)
		r := outcome(m, "pilot-1", at, nil)
		r.Content.Attempt = m.Content.Attempt
		return ledger.Rules{}.Result(tx, r, at)
	})
	s.says("/failures", "payload_crashed 1 1 0 0")
	s.says("/runs/"+run, "payload_crashed payload 1 1 0 0", "data_invalid data 1 0 0 1")
	s.says("/slices?reason=payload_crashed&state=done", "s3", "attempt 1: payload_crashed (payload) signal 11")
	s.says("/workers", "BNL", "pilot-1", "on hold", "node_unfit: no /cvmfs", "1/2", "slurm 4711")
	s.says("/workers?run=none", "No pilot has reported in the last hour")
	s.says("/workers/pilot-1", "It takes no slice for now.", "node_unfit: no /cvmfs", "SLURM_CPUS_ON_NODE", "s4", "2 cores")
	s.says("/workers/pilot-2", "It has never reported", "s2", "data_invalid")
	s.says("/demand", run, "Workers wanted 5", "Asked for 5", "as many are wanted as the run asked for, 5", "Workers that there are", "Goal 30 s",
		"Workers wanted started ready busy", "Slices waiting", "5 1 0 0.5 1") // one of the pilot's two slots, which a test of the node holds
	s.says("/runs/"+run, "Workers over the run", "5 1 0 0.5 1")
}

func TestARunShowsWhatTheDetectorDidAndWhichFilesItHas(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	at := time.Now().Add(-time.Minute).UTC()
	first, last := int64(500), int64(519)
	s.update(func(tx ledger.Tx) error {
		return errors.Join(
			tx.PutDocument(ledger.Detectors, document.Detector{
				State: "run", Substate: "physics", Since: at.Add(20 * time.Second), STFs: 3, STFBytes: 3e9,
				Changes: []document.DetectorChange{{At: at, State: "imminent"}, {At: at.Add(20 * time.Second), State: "run", Substate: "physics"}},
			}, namespace, run),
			tx.PutDocument(ledger.STFFiles, ledger.Announced{STF: document.STF{Status: "ready", Frames: 1000, TakenAt: at}, SizeBytes: 31e6, Adler32: "0badcafe"}, namespace, run, "swf.100001.000002.stf"),
			tx.PutDocument(ledger.TFFiles, document.TFFile{
				Namespace: namespace, RunID: run, Filename: "sample.tf", STF: "swf.100001.000002.stf", First: &first, Last: &last, Status: "registered", RegisteredAt: at,
			}, namespace, run, "swf.100001.000002.stf", "sample.tf"),
		)
	})
	s.says("/runs/"+run, "Detector run physics for", "STFs taken 3 3.0 GB", "imminent: 20 s, from", "run physics: ",
		"swf.100001.000002.stf ready 31.0 MB 0badcafe", "not yet 1 time-frame files", "sample.tf 500–519", "registered none yet")
}

func TestSlicesAreFoundByAllThatIsKnownOfThem(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for query, want := range map[string]string{
		"": "s0 s1 s2 s3 s4", "state=failed": "s2", "state=waiting": "s3", "class=payload": "s3", "class=payload&state=done": "", "reason=data_invalid": "s2", "worker=pilot-2": "s2 s3",
		"run=" + run + "&filename=swf.100001.000001.stf": "s3 s4", "run=none": "", "class=" + url.QueryEscape(nasty): "", "state=" + url.QueryEscape(nasty): "",
	} {
		doc, _ := s.read("/slices?" + query)
		var got []string
		for _, row := range elements(doc, "th") {
			if attribute(row, "scope") == "row" {
				got = append(got, wordsOf(row))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", query, got, want)
		}
	}
	if _, text, _ := s.ask("/slices?run=" + run); !strings.Contains(text, `title="/data/swf.100001.000001.stf">swf.100001.000001.stf</a>`) {
		t.Errorf("a file does not stand by its name: %s", text)
	}
	if status, text, _ := s.ask("/slices?filename=f"); status != http.StatusBadRequest || !strings.Contains(text, "Which run?") {
		t.Errorf("a file without a run: %d, %s", status, text)
	}
	if status, _, header := s.ask("/slices/find?identity=s3"); status != http.StatusSeeOther || header.Get("Location") != "/runs/100001/slices/s3" {
		t.Errorf("%d, to %s", status, header.Get("Location"))
	}
	if status, text, _ := s.ask("/slices/find?identity=none"); status != http.StatusNotFound || !strings.Contains(text, "has a slice none") {
		t.Errorf("%d: %s", status, text)
	}
}

func TestWhatIsNotThereHasAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for path, want := range map[string]int{
		"/runs/none": 404, "/runs/none/slices/s0": 404, "/runs/" + run + "/slices/none": 404, "/workers/none": 404, "/nothing": 404, "/runs/" + segment(nasty): 404,
		"/runs/" + run + "/slices/" + segment(nasty): 404, "/slices?after=x": 400, "/runs?after=%7B": 400, "/workers?after=x": 400, "/runs/" + run + "?after=x": 400,
	} {
		status, text, _ := s.ask(path)
		if status != want || !strings.Contains(text, `role="alert"`) || !strings.Contains(text, "<footer>") || strings.Contains(text, "<script>alert") {
			t.Errorf("%s: %d, %s", path, status, text)
		}
	}
}

// segment is a name in a path, as pages write it.
func segment(name string) string { return url.PathEscape(name) }

func TestATokenOfOneNamespaceSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.fill("theirs", run) // the same number
	s.fill("theirs", "200002")
	s.update(func(tx ledger.Tx) error {
		return tx.PutWorker(document.WorkerReport{PilotID: "their-pilot", Namespace: "theirs", RunID: run, Phase: document.WorkerRunning}, time.Now())
	})
	paths := []string{"/runs", "/runs/" + run, "/runs/" + run + "/slices/s0", "/slices", "/slices?run=" + run, "/failures", "/workers", "/workers/pilot-1", "/demand"}
	s.who.Namespace = namespace
	for _, path := range paths {
		_, text := s.read(path)
		for _, secret := range []string{"theirs", "their-pilot", "200002"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s: %s", path, secret, text)
			}
		}
		more := "?"
		if strings.Contains(path, "?") {
			more = "&"
		}
		if status, text, _ := s.ask(path + more + "namespace=theirs"); status != http.StatusForbidden || strings.Contains(text, "200002") {
			t.Errorf("%s of another namespace: %d, %s", path, status, text)
		}
	}
	for _, path := range []string{"/runs/200002", "/runs/200002/slices/s0", "/workers/their-pilot", "/slices/find?identity=none"} {
		if status, _, _ := s.ask(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	s.who.Namespace = ""
	doc, text := s.read("/runs/" + run + "?namespace=theirs")
	if !strings.Contains(text, "Namespace theirs") {
		t.Error(text)
	}
	for _, to := range links(doc) { // who sees them all stays in the one that he looks at
		if strings.HasPrefix(to, "/") && to != "/docs" && !strings.Contains(to, "namespace=theirs") {
			t.Errorf("leads to %s", to)
		}
	}
}

func TestNamesOfAllKindsAreTextAndLeadToTheirPages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{nasty, "a\u202eb\x1b[2J", "..", ".", "~", "a%2Fb", "日本", " ", "a\x00b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			at := time.Now().Add(-time.Minute)
			m := published(namespace, name, name, name, 0, at)
			m.Content.TFFilename, m.Content.Adler32 = name, name
			failure := &message.Failure{Name: name, Class: name, Message: name}
			r := outcome(m, name, at, failure)
			r.Content.Hostname, r.Content.Payload = name, &message.PayloadIdentity{Name: name, Version: name}
			done := outcome(m, name, at, nil)
			done.Content.Counts, done.Content.ReqID = map[string]int64{name: 1}, "other"
			s.update(func(tx ledger.Tx) error {
				body, err := json.Marshal(m)
				_, serr := ledger.Rules{}.Sent(tx, m, body, at)
				return errors.Join(err, serr, ledger.Rules{}.Result(tx, r, at), ledger.Rules{}.Result(tx, done, at), tx.PutWorker(document.WorkerReport{
					PilotID: name, Namespace: namespace, RunID: name, Phase: document.WorkerRunning, StartedAt: at, HeartbeatSeconds: 600, Hostname: name, Version: name, BatchSystem: name, BatchID: name,
					Hold: name, InHand: []document.SliceInHand{{Identity: name, RunID: name}}, Slot: &document.Slot{EndsBy: name, Facts: []document.SlotFact{{Name: name, Value: name, Source: name}}},
					Exit: &document.WorkerLastWord{Name: name, Class: name, Cause: name},
				}, time.Now()))
			})
			seen := map[string]bool{}
			var walk func(path string)
			walk = func(path string) {
				if seen[path] {
					return
				}
				seen[path] = true
				status, text, _ := s.ask(path)
				if status != http.StatusOK && status != http.StatusSeeOther || strings.Contains(text, "<script>alert") || strings.Contains(text, "ZgotmplZ") || strings.ContainsAny(text, "\u202e\x1b") {
					t.Errorf("%s: %d, %s", path, status, text)
				}
				doc, err := html.Parse(strings.NewReader(text))
				must(t, err)
				for _, e := range append(elements(doc, "script"), elements(doc, "link")...) {
					if to := attribute(e, "src") + attribute(e, "href"); !strings.HasPrefix(to, "/static/") && attribute(e, "type") != "application/json" {
						t.Errorf("%s loads %q", path, to)
					}
				}
				for _, to := range links(doc) {
					if to != "/" && !strings.HasPrefix(to, "/v1/") && !strings.HasPrefix(to, "/logs") && to != "/docs" && !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "/?") {
						walk(to)
					}
				}
			}
			walk("/runs")
			last := segment(ledger.Text(name))
			if name == ".." || name == "." || name == "~" {
				last = "~" + last
			}
			for _, path := range []string{"/runs/" + last, "/runs/" + last + "/slices/" + last} {
				if !seen[path] {
					t.Errorf("nothing leads to %s", path)
				}
			}
		})
	}
}

func TestAListOfManyComesInPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	at := time.Now().Add(-time.Minute)
	s.update(func(tx ledger.Tx) error {
		for i := range 120 {
			m := published(namespace, "100002", fmt.Sprintf("s%03d", i), fmt.Sprintf("f%03d.stf", i/4), int64(i), at)
			if _, err := (ledger.Rules{}).Sent(tx, m, []byte("{}"), at); err != nil {
				return err
			}
			if _, err := (ledger.Rules{}).Sent(tx, published(namespace, fmt.Sprint(200000+i), "s", "f", 0, at), []byte("{}"), at); err != nil {
				return err
			}
			if err := tx.PutWorker(document.WorkerReport{PilotID: fmt.Sprintf("p%03d", i), Namespace: namespace, RunID: "100002"}, at); err != nil {
				return err
			}
		}
		return nil
	})
	for path, want := range map[string]struct {
		rows        int
		first, last string
	}{
		"/slices?run=100002": {120, "s000", "s119"}, "/runs": {122, "200119", "100001"}, "/workers?run=100002": {120, "p000", "p119"},
		"/runs?state=open": {122, "200119", "100001"}, "/runs/100002": {30, "f029.stf", "f000.stf"},
	} {
		var rows []string
		for at, pages := path, 0; at != ""; pages++ {
			if pages > 5 {
				t.Fatalf("%s has no end", path)
			}
			doc, _ := s.read(at)
			at = ""
			for _, row := range elements(doc, "th") {
				if attribute(row, "scope") == "row" && len(elements(row, "a")) > 0 {
					rows = append(rows, wordsOf(row))
				}
			}
			for _, a := range elements(doc, "a") {
				if attribute(a, "rel") == "next" {
					at = attribute(a, "href")
				}
			}
		}
		if len(rows) != want.rows || rows[0] != want.first || rows[len(rows)-1] != want.last {
			t.Errorf("%s: %d rows, from %v to %v, want %+v", path, len(rows), rows[0], rows[len(rows)-1], want)
		}
	}
}

func TestWithoutItsStoreEachPageStaysUpAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	must(t, s.store.Close())
	for _, path := range []string{"/runs", "/runs/" + run, "/runs/" + run + "/slices/s0", "/slices", "/slices/find?identity=s0", "/failures", "/workers", "/workers/pilot-1", "/demand"} {
		status, text, _ := s.ask(path)
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "This cannot be shown now.") || !strings.Contains(text, "<footer>") {
			t.Errorf("%s: %d, %s", path, status, text)
		}
	}
}

func TestTablesAreForScreenReadersTooAndNothingIsStyledInline(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, path := range []string{"/runs", "/runs/" + run, "/runs/" + run + "/slices/s0", "/slices", "/failures", "/workers", "/workers/pilot-1", "/demand"} {
		doc, _ := s.read(path)
		for _, table := range elements(doc, "table") {
			if caption := elements(table, "caption"); len(caption) == 0 || wordsOf(caption[0]) == "" {
				t.Errorf("%s: a table without a caption", path)
			}
			for _, th := range elements(table, "th") {
				if attribute(th, "scope") == "" {
					t.Errorf("%s: the head %q is of nothing", path, wordsOf(th))
				}
			}
		}
		for n := range doc.Descendants() {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
				}
			}
		}
		for _, field := range append(elements(doc, "input"), elements(doc, "select")...) {
			if attribute(field, "type") != "hidden" && field.Parent.Data != "label" {
				t.Errorf("%s: the field %s has no label", path, attribute(field, "name"))
			}
		}
		for _, svg := range elements(doc, "svg") {
			if attribute(svg, "role") != "img" || attribute(svg, "aria-label") == "" {
				t.Errorf("%s: a picture without words", path)
			}
		}
	}
}
