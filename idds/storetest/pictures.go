package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// picture is a result's histograms as they come, and the same as they are to be added; nil when they cannot be.
type picture struct {
	text json.RawMessage
	set  hist.Set
}

// pictures are of all kinds: good ones, entries that are no numbers, other binnings, and what is no histogram.
func pictures(rt *rapid.T) picture {
	h := hist.New1D("h", "title", "mm", 5, -1, 4)
	for _, x := range rapid.SliceOfN(rapid.Float64(), 0, 5).Draw(rt, "entries") {
		h.Fill(x) // infinities and what is no number too
	}
	set := hist.Set{*h}
	if rapid.Bool().Draw(rt, "two") {
		other := hist.New1D("other", "", "", 2, 0, 1)
		other.Fill(0.5)
		set = append(set, *other)
	}
	good := encoded(rt, set)
	changed := func(change func(h *hist.H1)) picture {
		other := h.Clone()
		change(other)
		p := picture{set: append(hist.Set{*other}, set[1:]...)}
		p.text = encoded(rt, p.set)
		return p
	}
	switch rapid.SampledFrom([]string{"good", "good", "good", "none", "bins", "axis", "sum", "half", "twice", "nan", "text"}).Draw(rt, "pictures") {
	case "none":
		return picture{set: hist.Set{}}
	case "bins":
		return changed(func(h *hist.H1) { *h = *hist.New1D("h", "", "", 6, -1, 4) })
	case "axis":
		return changed(func(h *hist.H1) { h.High = 5 })
	case "sum":
		return picture{text: changed(func(h *hist.H1) { h.Entries++ }).text}
	case "half":
		return picture{text: changed(func(h *hist.H1) { h.Counts[0] += 0.5 }).text}
	case "twice":
		return picture{text: encoded(rt, hist.Set{*h, *h})}
	case "nan":
		return picture{text: json.RawMessage(`[{"name":"h","nbins":5,"low":-1,"high":NaN}]`)}
	case "text":
		return picture{text: json.RawMessage(`"a picture"`)}
	default:
		return picture{text: good, set: set}
	}
}

func encoded(rt *rapid.T, set hist.Set) json.RawMessage {
	text, err := json.Marshal(set)
	if err != nil {
		rt.Fatal(err)
	}
	return text
}

// merges holds the merged histograms to the sum of those of the results that count, bin by bin: a duplicate adds nothing, of a slice
// that was tried again or corrected only what made it done counts, and what does not fit is counted and leaves no trace.
func merges(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	store := open(t, t.TempDir())
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		id := strconv.Itoa(run)
		var want hist.Set
		unmerged, done := 0, map[string]bool{}
		for i := range rapid.IntRange(1, 20).Draw(rt, "results") {
			slice := fmt.Sprint("s", rapid.IntRange(0, 5).Draw(rt, "slice"))
			r := message.SliceResult{
				MsgType: message.TypeSliceResult, RunID: message.Run(id), Namespace: namespace,
				Content: message.ResultContent{
					State: message.StateDone, ReqID: message.Text(slice), PilotID: "p", Attempt: message.NewInt(int64(rapid.IntRange(1, maxAttempts).Draw(rt, "attempt"))),
				},
			}
			p := pictures(rt)
			r.Content.Histograms = p.text
			switch {
			case rapid.IntRange(0, 3).Draw(rt, "fails") == 0: // its pictures are nobody's
				r.Content.State = message.StateFailed
				r.Content.Failure = &message.Failure{Name: "payload_failed", Class: "payload", Retryable: rapid.Bool().Draw(rt, "retryable")}
			case done[slice]:
			default:
				done[slice] = true
				if p.set == nil || want.Merge(p.set) != nil {
					unmerged++
				}
			}
			if err := store.Update(context.Background(), func(tx ledger.Tx) error {
				return ledger.Rules{MaxAttempts: maxAttempts}.Result(tx, r, time.Unix(int64(1000+i), 0))
			}); err != nil {
				rt.Fatal(err)
			}
		}
		got, err := store.MergedHistograms(context.Background(), namespace, id)
		if err != nil {
			rt.Fatal(err)
		}
		runs, err := store.FindRuns(context.Background(), ledger.RunFilter{Namespace: namespace, Run: id})
		if err != nil || len(runs) != 1 || runs[0].Unmerged != unmerged || runs[0].Done != len(done) {
			rt.Fatalf("%d done, %d unmerged: %+v, %v", len(done), unmerged, runs, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}
