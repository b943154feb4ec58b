package idds_test

import (
	"fmt"
	"strings"
	"testing"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// What cannot be written into a document would end idds, and be there again when it comes back.
func TestTimesAndNumbersBeyondAllBoundsEndNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	for i, at := range []string{"9999-12-31T23:59:59-23:00", "0000-01-01T00:00:00+23:00"} {
		r.publishBody(message.TopicSlices, fmt.Appendf(nil,
			`{"msg_type":"slice","run_id":"100001","namespace":"test","created_at":%q,"content":{"req_id":"at %d","filename":"f","start":0,"end":9}}`, at, i))
	}
	r.await("the slices", func(c document.RunCheck) bool { return c.Slices.Published == 2 })
	for i := range 2 {
		r.publishBody(message.TopicResults, fmt.Appendf(nil,
			`{"msg_type":"slice_result","run_id":"100001","namespace":"test","content":{"req_id":"at %d","state":"done","attempt":1,"histograms":[
			{"name":"h","nbins":1,"low":0,"high":1,"counts":[1],"entries":1,"sum_w":1,"sum_wx":1.7e308,"sum_wx2":-1.7e308}],"result":{"state":true}}}`, i))
	}
	r.answer(r.send("a"), nil)
	c := r.await("all slices", func(c document.RunCheck) bool { return c.Slices.Published == 3 && c.Slices.Done == 3 })
	if c.Unmerged != 1 {
		t.Errorf("%d results with histograms that fit no others", c.Unmerged)
	}
}

// A run whose number no header can have is told that it is over like all others, which would wait behind it.
func TestARunWithAnImpossibleNumberHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]string{"NUL": "0\x00", "Long": strings.Repeat("\x01", 200)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, idds.Config{})
			r.endOf(number, 0)
			r.end(0)
			told := map[string]bool{}
			r.until("both ends", func() bool {
				runs, err := r.store.Runs(t.Context(), namespace)
				must(t, err)
				for _, run := range runs {
					told[run.RunID.String()] = run.StopSent
				}
				return told[number] && told[run]
			})
		})
	}
}
