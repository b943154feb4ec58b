package idds_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// BenchmarkTake is what idds does between a message's arrival and its acknowledgement, in batches as they come: reading it,
// the ledger, the store; slices and results each in a goroutine, as in Service.Run. An operation is a slice: two messages.
func BenchmarkTake(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) { takeAll(b, benchStore(b, kind)) })
	}
}

func takeAll(b *testing.B, store ledger.Store) {
	b.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}})
	if err != nil {
		b.Fatal(err)
	}
	service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
	if err != nil {
		b.Fatal(err)
	}
	slices, results := messages(b, b.N)
	b.ResetTimer()
	const batch = 256
	take := func(queue string, list []*broker.Delivery, i int) error {
		part := list[i:min(i+batch, len(list))]
		_, err := service.Take(b.Context(), queue, part)
		return err
	}
	followed := make(chan int, 4) // results come a little after their slices
	var g errgroup.Group
	g.Go(func() error {
		for i := range followed {
			if err := take(message.QueueResultsIDDS, results, i); err != nil {
				return err
			}
		}
		return nil
	})
	for i := 0; i < len(slices); i += batch {
		if err := take(message.QueueSlicesIDDS, slices, i); err != nil {
			b.Fatal(err)
		}
		followed <- i
	}
	close(followed)
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(2*float64(len(slices))/b.Elapsed().Seconds(), "messages/s")
}

// messages are n slices of daq and what pilots answer.
func messages(b *testing.B, n int) (slices, results []*broker.Delivery) {
	b.Helper()
	encode := func(document any) *broker.Delivery {
		body, err := json.Marshal(document)
		if err != nil {
			b.Fatal(err)
		}
		return &broker.Delivery{Message: &stomp.Message{Header: frame.NewHeader(), Body: body}}
	}
	for i := range n {
		m := message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Sender: "daq", Namespace: namespace,
			Content: message.SliceContent{
				RunID: message.Run(run), ReqID: message.Text(uuid.NewString()), Filename: "/data/swf.100001.000001.stf", State: "run", Substate: "physics",
				TFFilename: "swf.100001.000001_slice_" + strconv.Itoa(i) + ".tf", SliceID: message.NewInt(int64(i)),
				Start: message.NewInt(0), End: message.NewInt(65), Attempt: message.NewInt(1),
			},
		}
		copied, err := m.Content.Copy()
		if err != nil {
			b.Fatal(err)
		}
		slices = append(slices, encode(m))
		results = append(results, encode(message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: m.RunID, CreatedAt: message.At(time.Now()), Sender: "pilot", Namespace: namespace,
			Content: message.ResultContent{
				RequestedAt: m.CreatedAt, State: message.StateDone, ReqID: m.Content.ReqID, Attempt: m.Content.Attempt, PilotID: "pilot", Hostname: "host",
				ProcessingStartAt: m.CreatedAt, Counts: map[string]int64{"events": 45, "tracks": 120}, Result: message.Outcome{State: true, Result: copied},
			},
		}))
	}
	return slices, results
}
