package idds_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// The clock goes on by what a busy service needs for a result, and by nothing else: no pause of the machine is taken for a backlog.
func TestALostSliceIsSentAgainWhileAnotherRunFlows(t *testing.T) {
	t.Parallel()
	const other = "200002"
	r := newRig(t, idds.Config{LostAfter: time.Second})
	r.kill()
	began := time.Now()
	var passed atomic.Int64
	r.now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
	r.start()
	w := r.workers()
	m := r.send("lost")
	next(t, w) // taken and acknowledged, and its result never sent
	_, err := r.service.Report(soon(t), document.WorkerReport{
		PilotID: "idle", Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: began, IdleSince: began.Add(-time.Hour),
		LinkProven: true, HeartbeatSeconds: 3600,
	})
	must(t, err)
	m.RunID, m.Content.RunID = message.Run(other), message.Run(other)
	again := func() bool {
		runs, err := r.store.Runs(t.Context(), namespace)
		must(t, err)
		return slices.ContainsFunc(runs, func(got ledger.Run) bool { return got.RunID.String() == run && got.Retried == 1 })
	}
	for n, flow := 0, soon(t); !again(); n++ {
		if flow.Err() != nil {
			t.Fatalf("not sent again while %d slices of another run were", n)
		}
		m.Content.ReqID = message.Text(fmt.Sprint("o", n))
		r.publish(message.TopicSlices, m)
		r.answer(m, nil)
		r.awaitRun(other, "its result", func(c document.RunCheck) bool { return c.Slices.Done == n+1 })
		passed.Add(int64(50 * time.Millisecond))
	}
}
