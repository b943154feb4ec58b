package sqlite_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"tfpilot/idds/sqlite"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// BenchmarkLedger is the ledger on SQLite in batches of 256, as idds takes messages. An operation is a slice: two messages.
func BenchmarkLedger(b *testing.B) {
	store, err := sqlite.Open(b.Context(), b.TempDir(), logging.Discard())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	var l ledger.Rules
	now := time.Now()
	slice := func(i int) message.Slice {
		return message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run("1"), CreatedAt: message.At(now), Namespace: "bench",
			Content: message.SliceContent{
				ReqID: message.Text("2837c040-d0c9-5236-a645-4d8387" + strconv.Itoa(100000+i)), Filename: "/data/swf.102023.000001.stf",
				TFFilename: "swf.102023.000001_slice_000.tf", SliceID: message.NewInt(1), Start: message.NewInt(0), End: message.NewInt(65),
			},
		}
	}
	body, err := json.Marshal(slice(0))
	if err != nil {
		b.Fatal(err)
	}
	const batch = 256
	for i := 0; i < b.N; i += batch {
		n := min(batch, b.N-i)
		if err := store.Update(b.Context(), func(tx ledger.Tx) error {
			for k := range n {
				if _, err := l.Sent(tx, slice(i+k), body, now); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		if err := store.Update(b.Context(), func(tx ledger.Tx) error {
			for k := range n {
				m := slice(i + k)
				if err := l.Result(tx, message.SliceResult{
					MsgType: message.TypeSliceResult, RunID: m.RunID, Namespace: m.Namespace,
					Content: message.ResultContent{State: message.StateDone, ReqID: m.Content.ReqID, RequestedAt: m.CreatedAt},
				}, now); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
