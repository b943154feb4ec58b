package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"tfpilot/idds"
	"tfpilot/idds/dashboard"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

const (
	namespace = "epic"
	run       = "100001"
	nasty     = `a/b ?&#"><script>alert('1')</script>'; DROP TABLE slice; --`
)

// site is the pages on a store on disk.
type site struct {
	t     *testing.T
	store ledger.Store
	mux   *http.ServeMux
	who   access.Principal
}

// newSite has a run of 2 STFs with 5 slices, of which one has failed for good and one at its first attempt, and a pilot.
func newSite(t *testing.T, change func(*dashboard.Config)) *site {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	cfg := dashboard.Config{
		Service: service, Store: store, Namespace: namespace, Log: logging.Discard(),
		Board: func(context.Context, string) (document.Board, error) {
			return document.Board{Sites: []document.BoardSite{{Site: "BNL", Running: 3, Slots: 12, Busy: 7}}}, nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	pages, err := dashboard.New(cfg)
	must(t, err)
	s := &site{t: t, store: store, mux: http.NewServeMux(), who: access.Principal{Name: "shifter", Role: access.Viewer}}
	for pattern, handler := range pages.Handlers() {
		s.mux.Handle(pattern, handler)
	}
	s.mux.HandleFunc("/", pages.NotFound())
	s.fill(namespace, run)
	return s
}

// update changes the store in one transaction.
func (s *site) update(fn func(tx ledger.Tx) error) {
	s.t.Helper()
	must(s.t, s.store.Update(s.t.Context(), fn))
}

// published is a slice, as daq publishes it.
func published(namespace, run, identity, stf string, n int64, at time.Time) message.Slice {
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(at), Namespace: namespace, Sender: "daq",
		Content: message.SliceContent{
			ReqID: message.Text(identity), Filename: "/data/" + stf, TFFilename: fmt.Sprintf("%s_slice_%03d.tf", strings.TrimSuffix(stf, ".stf"), n), SliceID: message.NewInt(n),
			Start: message.NewInt(n * 10), End: message.NewInt(n*10 + 9), Size: message.NewInt(27262976), Adler32: "1a2b3c4d", STFCreatedAt: message.At(at.Add(-time.Second)),
		},
	}
}

// outcome is what a pilot makes of it.
func outcome(m message.Slice, pilot string, at time.Time, f *message.Failure) message.SliceResult {
	seconds := 1.5
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.RunID, Namespace: m.Namespace, CreatedAt: message.At(at.Add(3 * time.Second)),
		Content: message.ResultContent{
			State: message.StateDone, ReqID: m.Content.ReqID, PilotID: pilot, Hostname: "node1.example.org", ProcessingTime: &seconds,
			ReceivedAt: message.At(at), ProcessingStartAt: message.At(at.Add(time.Second)), ProcessedAt: message.At(at.Add(2500 * time.Millisecond)),
			Payload: &message.PayloadIdentity{Name: "tfreco", Version: "1.2"}, Counts: map[string]int64{"events": 100}, Failure: f,
		},
	}
	if f != nil {
		r.Content.State, r.Content.Counts = message.StateFailed, nil
	}
	return r
}

var (
	damaged = &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "frames are missing: " + nasty}
	crashed = &message.Failure{Code: 12, Name: "payload_crashed", Class: "payload", Retryable: true, Message: "signal 11"}
)

func (s *site) fill(namespace, run string) {
	s.t.Helper()
	begin := time.Now().Add(-time.Minute)
	l := ledger.Rules{}
	s.update(func(tx ledger.Tx) error {
		err := l.Announce(tx, message.RunImminentWorker{
			RunID: message.Run(run), Namespace: namespace, Content: message.RunImminentWorkerContent{TargetWorkerCount: message.NewInt(5)},
		}, begin)
		for i := range 5 {
			m := published(namespace, run, fmt.Sprint("s", i), fmt.Sprintf("swf.%s.%06d.stf", run, i/3), int64(i%3), begin.Add(time.Duration(i)*time.Second))
			body, jerr := json.Marshal(m)
			_, serr := l.Sent(tx, m, body, begin.Add(time.Duration(i)*time.Second))
			err = errors.Join(err, jerr, serr)
			at := begin.Add(time.Duration(5+i) * time.Second)
			switch i {
			case 0, 1:
				r := outcome(m, "pilot-1", at, nil)
				h := hist.New1D("h", "title", "", 2, 0, 2)
				h.Fill(1)
				r.Content.Histograms, jerr = json.Marshal(hist.Set{*h})
				err = errors.Join(err, jerr, l.Result(tx, r, at.Add(4*time.Second)))
			case 2:
				err = errors.Join(err, l.Result(tx, outcome(m, "pilot-2", at, damaged), at.Add(4*time.Second)))
			case 3:
				err = errors.Join(err, l.Result(tx, outcome(m, "pilot-2", at, crashed), at.Add(4*time.Second)))
			}
		}
		err = errors.Join(err, l.Disturb(tx, namespace, run), l.Result(tx, outcome(published(namespace, run, "s0", "", 0, begin), "pilot-2", begin.Add(20*time.Second), nil), begin.Add(30*time.Second)))
		return errors.Join(err, tx.PutWorker(document.WorkerReport{
			PilotID: "pilot-1", Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: begin, StartedAt: begin, HeartbeatSeconds: 600, Hostname: "node1.example.org",
			PID: 17, Version: "v1", Slots: 2, BatchSystem: "slurm", BatchID: "4711", LinkProven: true, Hold: "node_unfit: no /cvmfs",
			InHand: []document.SliceInHand{{Identity: "s4", RunID: run, Attempt: 1, Since: begin.Add(10 * time.Second), RunningSince: begin.Add(11 * time.Second)}},
			Slot:   &document.Slot{Cores: 2, Facts: []document.SlotFact{{Name: "cores", Value: "2", Source: "SLURM_CPUS_ON_NODE", Counts: true}}},
			Totals: document.WorkerTotals{Done: 2, WallSeconds: 30},
		}, time.Now()))
	})
}

// ask asks for a page.
func (s *site) ask(path string) (status int, text string, header http.Header) {
	s.t.Helper()
	r := httptest.NewRequestWithContext(access.WithPrincipal(s.t.Context(), s.who), http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// read is a page, and its text as a person reads it.
func (s *site) read(path string) (*html.Node, string) {
	s.t.Helper()
	status, text, _ := s.ask(path)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d, %s", path, status, text)
	}
	doc, err := html.Parse(strings.NewReader(text))
	must(s.t, err)
	return doc, wordsOf(doc)
}

func wordsOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// elements are those of a kind.
func elements(n *html.Node, kind string) (out []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == kind {
			out = append(out, d)
		}
	}
	return out
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// links are the addresses that a page leads to.
func links(n *html.Node) (out []string) {
	for _, a := range elements(n, "a") {
		out = append(out, attribute(a, "href"))
	}
	return out
}

func (s *site) says(path string, all ...string) {
	s.t.Helper()
	_, text := s.read(path)
	for _, want := range all {
		if !strings.Contains(text, want) {
			s.t.Errorf("%s does not say %q: %s", path, want, text)
		}
	}
}
