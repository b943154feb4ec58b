package daq_test

import (
	"fmt"
	"testing"
	"time"

	"tfpilot/daq"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/runplan"
)

func TestTheBooksTellWhatCounts(t *testing.T) {
	t.Parallel()
	p := runplan.Default()
	p.Run, p.SlicesPerSample = "1", 5
	stf := runplan.STF{Sequence: 1, Name: "a.stf", CreatedAt: time.Now().Truncate(time.Microsecond)}
	list := p.Slices(stf)
	b := daq.NewBooks("1")
	b.Expect(stf, list)
	for _, s := range list {
		b.Published(s.ReqID)
	}
	result := func(run, id, state, more string) string {
		return fmt.Sprintf(`{"msg_type":"slice_result","run_id":%q,"content":{"state":%q,"req_id":%q%s}}`, run, state, id, more)
	}
	const retryable, permanent = `,"failure":{"retryable":true}`, `,"failure":{"retryable":false}`
	for _, body := range []string{
		result("1", list[0].ReqID, "done", ""), result("1", list[0].ReqID, "done", ""), // absorbed
		result("1", list[1].ReqID, "failed", retryable+`,"attempt":1`), result("1", list[1].ReqID, "done", `,"attempt":2`),
		result("1", list[2].ReqID, "failed", permanent),
		result("1", list[3].ReqID, "failed", retryable+`,"attempt":3`), result("1", list[3].ReqID, "done", ""), // corrected
		// A peer's failure: no identity but the time of the request, and no word on another attempt.
		`{"msg_type":"slice_result","run_id":1,"content":{"state":"failed","requested_at":"` + list[4].CreatedAt.UTC().Format(time.RFC3339Nano) + `","result":{"result":null}}}`,
		result("1", "unheard", "done", ""), result("2", list[4].ReqID, "done", ""), // unmatched
		"{", "", `{"msg_type":"slice"}`, `{"msg_type":"slice_result","run_id":"1","content":{"state":"odd"}}`, // junk
	} {
		if v, ok, _ := b.Judge([]byte(body), time.Now()); ok {
			b.Enter(v)
		}
	}
	got, _ := b.Counts()
	got.MeanSTF, got.SlowestSTF = 0, 0
	want := daq.Counts{STFs: 1, Published: 5, Done: 3, Failed: 1, Unanswered: 1, Retried: 2, Absorbed: 1, Unmatched: 2, Junk: 4}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if exitcode.From(got.Verdict()) != exitcode.CheckFailed {
		t.Errorf("verdict %v", got.Verdict())
	}
}
