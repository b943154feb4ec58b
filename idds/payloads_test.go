package idds_test

import (
	"fmt"
	"math"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// worked is a result that a version of a payload made in some seconds.
func (b *book) worked(identity string, id *message.PayloadIdentity, seconds float64, u *message.Usage, f *message.Failure) func(ledger.Tx) error {
	m := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
		Content: message.ResultContent{
			State: message.StateDone, ReqID: message.Text(identity), PilotID: "p", Payload: id, ProcessingTime: &seconds, Usage: u, Failure: f,
		},
	}
	if f != nil {
		m.Content.State = message.StateFailed
	}
	return func(tx ledger.Tx) error { return b.ledger.Result(tx, m, b.now) }
}

func TestPayloadVersionsAreToldApartByWhatTheirSlicesTook(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	fast, slow := &message.PayloadIdentity{Name: "reco", Version: "1"}, &message.PayloadIdentity{Name: "reco", Version: "2"}
	usage := func(cpu float64) *message.Usage {
		return &message.Usage{Cores: 2, WallSeconds: cpu, UserSeconds: cpu, SystemSeconds: cpu / 2, PeakBytes: int64(cpu * 1000), ReadBytes: 10, WrittenBytes: 3, Processes: 2}
	}
	for i := range 100 {
		b.do(b.worked(fmt.Sprint("fast", i), fast, float64(i+1)/100, usage(1), nil))
	}
	b.do(
		b.worked("slow", slow, 100, usage(7), nil),
		b.worked("slow", slow, 500, usage(9), nil), // a second result changes nothing
		b.worked("bad", slow, 3, usage(5), crashed),
		b.worked("noop", nil, 0, nil, nil),
	)
	list := b.payloads()
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) <= 0.03*want }
	peer, one, two := list[0], list[1], list[2]
	if peer.Name != "" || peer.Done != 1 || peer.Measured != 0 || peer.CPUEfficiency != nil {
		t.Errorf("%+v", peer)
	}
	if q := one.Seconds; one.Done != 100 || one.Version != "1" || q.N != 100 || !near(q.P50, 0.51) || !near(q.P95, 0.96) || q.Max != 1 {
		t.Errorf("%+v", one)
	}
	if one.CPUSeconds != 150 || *one.CPUEfficiency != 0.75 || one.PeakBytes != 1000 || one.ReadBytes != 1000 || one.WrittenBytes != 300 || one.Measured != 100 {
		t.Errorf("%+v", one)
	}
	if q := two.Seconds; two.Done != 1 || two.Failed != 1 || q.P50 != q.P95 || !near(q.P50, 100) || two.CPUSeconds != 10.5 {
		t.Errorf("%+v", two)
	}
}

// payloads are those of the run.
func (b *book) payloads() []document.Payload {
	b.t.Helper()
	r := b.run()
	return r.Payloads.Documents()
}
