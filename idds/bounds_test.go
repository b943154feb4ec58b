package idds_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// A producer whose headers say our namespace and whose bodies another fills the window with what must not be acknowledged.
func TestAFloodOfOthersMessagesHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, mode := range []stompd.Mode{stompd.Artemis, stompd.Classic} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := newRigOn(t, stompd.Config{Mode: mode}, idds.Config{})
			pad := strings.Repeat("x", 20<<10)
			const n = 300 // six windows
			for i := range n {
				r.publishBody(message.TopicSlices, fmt.Appendf(nil,
					`{"msg_type":"slice","run_id":"9","namespace":"theirs","content":{"req_id":"%d","pad":%q}}`, i, pad))
			}
			r.send("a")
			r.await("our slice behind them", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
			r.until("its acknowledgement, after the commit", func() bool {
				return slices.ContainsFunc(r.broker.Stats(), func(q msgqueue.Stat) bool {
					return q.Name == message.QueueSlicesIDDS && q.Acked == 1
				})
			})
			r.kill()
			for _, q := range r.broker.Stats() {
				if q.Name == message.QueueSlicesIDDS && (q.Depth != n || q.InFlight != 0 || q.Dead != 0) {
					t.Errorf("%+v", q)
				}
			}
		})
	}
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func TestAFloodOfJunkIsAcknowledgedInAFewWords(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	var log lines
	s, err := idds.New(b.store, link, slog.New(slog.NewTextHandler(&log, nil)), idds.Config{Namespace: namespace})
	must(t, err)
	const n = 20000
	for range n / 200 {
		batch := make([]*broker.Delivery, 200)
		for i := range batch {
			batch[i] = delivery(fmt.Appendf(nil, `{"msg_type":"heartbeat","sender":"%d"}`, i))
		}
		ours, err := s.Take(t.Context(), message.QueueResultsIDDS, batch)
		if must(t, err); len(ours) != len(batch) {
			t.Fatalf("%d of %d acknowledged", len(ours), len(batch))
		}
	}
	if said := strings.Count(log.buf.String(), "\n"); said != 1 {
		t.Errorf("%d lines for %d messages: %.300s", said, n, log.buf.String())
	}
	unmatched := make([]*broker.Delivery, 200)
	for i := range unmatched {
		unmatched[i] = delivery(fmt.Appendf(nil, `{"msg_type":"slice_result","run_id":"%d","content":{"state":"failed","requested_at":"2026-01-01T00:00:00Z","result":{"result":null}}}`, i%7))
	}
	ours, err := s.Take(t.Context(), message.QueueResultsIDDS, unmatched)
	if must(t, err); len(ours) != len(unmatched) {
		t.Errorf("%d of %d acknowledged", len(ours), len(unmatched))
	}
	if said := strings.Count(log.buf.String(), "\n"); said != 2 || !strings.Contains(log.buf.String(), "fit no slice") {
		t.Errorf("%d lines with those that fit no slice: %.600s", said, log.buf.String())
	}
	runs, err := b.store.FindRuns(t.Context(), ledger.RunFilter{Namespace: namespace})
	must(t, err)
	counted := 0
	for i := range runs {
		counted += runs[i].Unmatched
	}
	if counted != len(unmatched) {
		t.Errorf("%d are counted", counted)
	}
}

func TestAResultOf30MBIsCountedAndItsPicturesAreNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	m := r.send("a")
	next(t, w)
	big := fmt.Appendf(nil, `{"msg_type":"slice_result","run_id":%q,"content":{"state":"done","req_id":"a","attempt":1,"requested_at":%q,"counts":{"events":3},`+
		`"histograms":[{"name":"%s"}],"result":{"state":true,"result":{"req_id":"a"},"error":null}}}`, run, m.CreatedAt.Text(), bytes.Repeat([]byte("h"), 30<<20))
	r.publishBody(message.TopicResults, big)
	r.end(1)
	c := r.await("the end", closed)
	if c.Slices != (document.SliceCounts{Published: 1, Done: 1}) || c.Counts["events"] != 3 || c.Unmerged != 1 {
		t.Errorf("%+v, %v, %d unmerged", c.Slices, c.Counts, c.Unmerged)
	}
}

// Python writes what is no number as NaN, which is no JSON. The result counts all the same.
func TestAResultOfPythonWithWhatIsNoNumberCountsAndItsPicturesDoNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	for i, bin := range []string{"NaN", "Infinity", "-Infinity"} {
		id := fmt.Sprint("s", i)
		m := r.send(id)
		next(t, w)
		r.publishBody(message.TopicResults, fmt.Appendf(nil, `{"msg_type":"slice_result","run_id":%q,"content":{"state":"done","req_id":%q,"requested_at":%q,"counts":{"events":3},`+
			`"histograms":[{"name":"say \"NaN\"","nbins":1,"low":0,"high":1,"counts":[1],"entries":1,"sum_w":1,"sum_wx":%s}],"result":{"state":true,"result":{"req_id":%q},"error":null}}}`,
			run, id, m.CreatedAt.Text(), bin, id))
	}
	r.end(3)
	c := r.await("the end", closed)
	if c.Slices != (document.SliceCounts{Published: 3, Done: 3}) || c.Counts["events"] != 9 || c.Unmerged != 3 {
		t.Errorf("%+v, %v, %d unmerged", c.Slices, c.Counts, c.Unmerged)
	}
}

// pictured is a good result of a slice, with histograms.
func (b *book) pictured(identity string, set hist.Set) func(ledger.Tx) error {
	b.t.Helper()
	pictures, err := json.Marshal(set)
	must(b.t, err)
	return func(tx ledger.Tx) error {
		return b.ledger.Result(tx, message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
			Content: message.ResultContent{State: message.StateDone, ReqID: message.Text(identity), PilotID: "p", Histograms: pictures},
		}, b.now)
	}
}

func TestHistogramsThatDoNotFitAreCountedAndLeaveNoTrace(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	filled := func(name string, bins int) hist.H1 {
		h := hist.New1D(name, "", "", bins, 0, 1)
		h.Fill(0.5)
		return *h
	}
	b.do(b.pictured("a", hist.Set{filled("h", 4)}))
	b.do(b.pictured("b", hist.Set{filled("new", 4), filled("h", 5)})) // the first would fit
	b.do(b.pictured("c", hist.Set{filled("h", 4)}))
	set, err := b.store.MergedHistograms(t.Context(), namespace, run)
	if must(t, err); len(set) != 1 || set[0].Entries != 2 {
		t.Errorf("%+v", set)
	}
	if r := b.run(); r.Done != 3 || r.Unmerged != 1 {
		t.Errorf("%+v", r)
	}
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	f := *crashed
	f.Message = strings.Repeat("log ", 1<<18)
	b.do(b.result("c", 1, &f))
	list, err := b.store.Slices(t.Context(), ledger.Filter{Run: run, States: []ledger.SliceState{ledger.Waiting}})
	must(t, err)
	if got := len(list[0].Attempts[0].Failure.Message); got > 5<<10 {
		t.Errorf("%d bytes of a reason are kept", got)
	}
}

// Outstanding slices are looked at in pages, and a run that is out of time ends them in pages.
func TestManyOutstandingSlicesAreLookedAtInPages(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	const n = 5000
	for i := 0; i < n; {
		w.do(func(tx ledger.Tx) error {
			for range 1000 {
				m := message.Slice{
					MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(w.now), Namespace: namespace,
					Content: message.SliceContent{ReqID: message.Text(fmt.Sprintf("s%06d", i)), Filename: "f", Start: message.NewInt(0), End: message.NewInt(9)},
				}
				i++
				if _, err := w.ledger.Sent(tx, m, []byte("{}"), w.now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c, err := w.service.Check(t.Context(), w.run())
	if must(t, err); c.Places[document.PlaceQueue] != n+1 || len(c.Outstanding) != 1000 || !c.OK {
		t.Errorf("%v, %d shown, %v", c.Places, len(c.Outstanding), c.Problems)
	}
	w.report("idle", 0, 30*time.Minute)
	if w.after(0) {
		t.Error("given up at once")
	}
	if !w.after(61 * time.Second) {
		t.Error("not given up")
	}
	_, waiting, err := w.store.Tally(t.Context(), namespace, run)
	if must(t, err); waiting[ledger.Waiting] != n+1 {
		t.Errorf("%v", waiting)
	}
	due, err := w.store.Due(t.Context(), namespace, w.now.Add(time.Hour))
	if must(t, err); len(due) != 1000 {
		t.Errorf("%d due in a page", len(due))
	}
	w.do(w.end)
	w.now = w.now.Add(time.Hour)
	must(t, w.service.CloseRuns(t.Context()))
	if r := w.run(); r.Failed != n+1 || r.State != document.RunClosed {
		t.Errorf("%+v", r)
	}
}

func delivery(body []byte) *broker.Delivery {
	return &broker.Delivery{Message: &stomp.Message{Header: frame.NewHeader(), Body: body}}
}
