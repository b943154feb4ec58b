package idds_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

var crashed = &message.Failure{Code: 12, Name: "payload_crashed", Class: "payload", Retryable: true, Message: "signal"}

func closed(c document.RunCheck) bool { return c.State == document.RunClosed }

func TestAFailedAttemptIsSentAgainAndTheNextOneCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	r.send("a")
	first := next(t, w)
	r.answer(first, crashed)
	again := next(t, w)
	if again.Content.AttemptNumber() != 2 || again.Content.Identity() != "a" || !again.CreatedAt.Time().After(first.CreatedAt.Time()) ||
		again.Content.FirstCreatedAt.Text() != first.CreatedAt.Text() {
		t.Errorf("sent again as %+v", again)
	}
	r.answer(again, nil)
	r.end(1)
	got := r.await("the end", closed)
	want := document.SliceCounts{Published: 1, Done: 1, Retried: 1}
	if got.Slices != want || !got.OK || got.Counts["events"] != 3 {
		t.Errorf("%+v, problems %v", got.Slices, got.Problems)
	}
}

func TestAPermanentFailureIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	r.send("a")
	r.answer(next(t, w), &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "no range"})
	r.end(1)
	got := r.await("the end", closed)
	if got.Slices != (document.SliceCounts{Published: 1, Failed: 1}) {
		t.Errorf("%+v", got.Slices)
	}
}

func TestWhatThePeersSendIsCountedToo(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{MaxAttempts: 1})
	m := r.send("a")
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	// A peer's failure names no slice: only when it was asked for, in a format of its own.
	asked := m.CreatedAt.Time().UTC().Format("2006-01-02T15:04:05.000000")
	r.publishBody(message.TopicResults, []byte(`{"msg_type":"slice_result","run_id":`+run+`,"content":{"requested_at":"`+asked+
		`","state":"failed","result":{"state":false,"result":null,"error":"boom"}}}`))
	r.end(1)
	got := r.await("the end", closed)
	if got.Slices != (document.SliceCounts{Published: 1, Failed: 1}) {
		t.Errorf("%+v", got.Slices)
	}
}

// A peer's failures name only when they were asked for: also of attempts that were sent again together.
func TestPeersFailuresOfAttemptsThatAreSentTogetherAreToldApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{MaxAttempts: 2})
	w := r.workers()
	const n = 5
	for i := range n {
		r.send(string(rune('a' + i)))
	}
	for range 2 * n {
		asked := next(t, w).CreatedAt.Time().UTC().Format("2006-01-02T15:04:05.000000")
		r.publishBody(message.TopicResults, []byte(`{"msg_type":"slice_result","run_id":`+run+`,"content":{"requested_at":"`+asked+
			`","state":"failed","result":{"state":false,"result":null,"error":"boom"}}}`))
	}
	r.end(n)
	if got := r.await("the end", closed); got.Slices != (document.SliceCounts{Published: n, Failed: n, Retried: n}) || !got.OK {
		t.Errorf("%+v, problems %v", got.Slices, got.Problems)
	}
}

func TestADeadLetterIsSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	r.send("a")
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	// Ten workers that die with it.
	for range 10 {
		c, err := stomp.Dial(soon(t), r.addr, stomp.Config{})
		must(t, err)
		s, err := c.Subscribe(soon(t), stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
		must(t, err)
		<-s.Messages()
		must(t, c.Close())
	}
	if m := next(t, r.workers()); m.Content.AttemptNumber() != 2 {
		t.Errorf("attempt %d", m.Content.AttemptNumber())
	}
}

func TestAnAttemptThatNobodyHoldsIsSentAgainWhenWorkersAreIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{LostAfter: 50 * time.Millisecond})
	report := func(pilot string, held ...document.SliceInHand) {
		w := document.WorkerReport{
			PilotID: pilot, Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: time.Now(), LinkProven: true, HeartbeatSeconds: 60, InHand: held,
		}
		if len(held) == 0 {
			w.IdleSince = time.Now().Add(-time.Hour)
		}
		_, err := r.service.Report(soon(t), w)
		must(t, err)
	}
	w := r.workers()
	r.send("lost")
	next(t, w) // taken and acknowledged, and its result never sent
	r.send("held")
	next(t, w)
	report("busy", document.SliceInHand{Identity: "held", RunID: run, Attempt: 1})
	report("idle")
	if m := next(t, w); m.Content.Identity() != "lost" || m.Content.AttemptNumber() != 2 {
		t.Errorf("sent again: %s, attempt %d", m.Content.Identity(), m.Content.AttemptNumber())
	}
	got := r.await("the second attempt", func(c document.RunCheck) bool { return c.Slices.Retried == 1 })
	for _, s := range got.Outstanding {
		if s.Identity == "held" && (!strings.HasPrefix(s.Where, "held by busy on ") || s.Attempt != 1) {
			t.Errorf("held: %+v", s)
		}
	}
}

func TestARunClosesWithItsLastResultAndItsWorkersAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	stops := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
	<-stops.Ready()
	w := r.workers()
	r.imminent(4)
	r.send("a")
	demand := func() document.RunDemand {
		d, err := r.service.Demand(soon(t))
		must(t, err)
		return d.Demands[0]
	}
	r.await("the announcement", func(c document.RunCheck) bool { return c.Workers == 4 && c.Slices.Published == 1 })
	if d := demand(); d.Wanted != 4 || d.State != document.RunOpen {
		t.Errorf("%+v", d)
	}
	r.end(2) // one is still on its way
	r.answer(next(t, w), nil)
	r.await("the first result", func(c document.RunCheck) bool { return c.Slices.Done == 1 && c.State == document.RunEnding })
	if d := demand(); d.Wanted != 4 {
		t.Errorf("%+v", d)
	}
	r.send("b")
	r.answer(next(t, w), nil)
	r.await("the end", closed)
	if d := demand(); d.Wanted != 0 {
		t.Errorf("%+v", d)
	}
	d, err := stops.Next(soon(t))
	must(t, err)
	m, err := message.Decode[message.StopTransformer](d.Body)
	if must(t, err); m.RunID.String() != run || d.Header.Get("namespace") != namespace {
		t.Errorf("%s", d.Body)
	}
}

func TestARunOfUnknownSizeClosesWhenNothingComesAnyMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{QuietEnd: 50 * time.Millisecond})
	w := r.workers()
	r.send("a")
	r.answer(next(t, w), nil)
	r.end(-1)
	if got := r.await("the end", closed); got.Slices.Done != 1 || got.TotalSlices != nil {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsLeftWhenTheRunsTimeIsOverFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{RunTimeout: 50 * time.Millisecond})
	w := r.workers()
	r.send("a")
	late := next(t, w)
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 }) // or the run is over before idds hears of it
	r.end(5)
	got := r.await("the end", closed)
	if got.Slices != (document.SliceCounts{Published: 1, Failed: 1}) {
		t.Errorf("%+v", got.Slices)
	}
	list, err := r.store.Slices(soon(t), ledger.Filter{Run: run})
	if must(t, err); list[0].Failure == nil || list[0].Failure.Name != "run_timeout" {
		t.Errorf("%+v", list[0])
	}
	r.answer(late, nil) // done wins all the same
	r.await("the correction", func(c document.RunCheck) bool {
		return c.Slices.Corrected == 1 && c.Slices.Done == 1 && c.Slices.Failed == 0
	})
}

func TestARestartLosesNothingThatCameMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	r.imminent(1)
	r.send("a")
	a := next(t, w)
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 && c.Workers == 1 })
	r.kill()
	r.answer(a, crashed)
	b := r.send("b")
	r.answer(b, nil)
	next(t, w)
	r.end(2) // on a topic: the durable subscription keeps it
	r.start()
	r.answer(next(t, w), nil)
	got := r.await("the end", closed)
	if got.Slices != (document.SliceCounts{Published: 2, Done: 2, Retried: 1}) || !got.OK {
		t.Errorf("%+v, problems %v", got.Slices, got.Problems)
	}
}

func TestAResultThatComesTwiceIsAbsorbedAndItsReasonAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	r.send("a")
	a := next(t, w)
	// Results may overtake the slice, and in a run that nobody has announced nobody looks for faults.
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	r.answer(a, nil)
	r.answer(a, nil)
	got := r.await("both results", func(c document.RunCheck) bool { return c.Slices.Absorbed == 1 })
	if got.Slices.Done != 1 || got.Slices.Unexplained != 1 || got.OK || got.Counts["events"] != 3 {
		t.Errorf("%+v, %v", got.Slices, got.Problems)
	}
}

func TestJunkDisturbsNothingAndWhatIsOthersStays(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	for _, body := range []string{"", "{", "[]", `{"msg_type":"slice"}`, `{"msg_type":"slice_result","run_id":"1"}`, `{"msg_type":"other"}`} {
		r.publishBody(message.TopicSlices, []byte(body))
		r.publishBody(message.TopicResults, []byte(body))
		r.publishBody(message.TopicWorkers, []byte(body))
	}
	foreign, err := json.Marshal(message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run("9"), Namespace: "theirs", Content: message.SliceContent{ReqID: "x", RunID: message.Run("9")},
	})
	must(t, err)
	r.publishBody(message.TopicSlices, foreign)
	r.send("a")
	queues := func() (depth, inFlight map[string]int) {
		depth, inFlight = map[string]int{}, map[string]int{}
		for _, q := range r.broker.Stats() {
			depth[q.Name], inFlight[q.Name] = q.Depth, q.InFlight
		}
		return depth, inFlight
	}
	r.await("the slice and the acknowledgements", func(c document.RunCheck) bool {
		_, inFlight := queues()
		return c.Slices.Published == 1 && inFlight[message.QueueSlicesIDDS] == 1 && inFlight[message.QueueResultsIDDS] == 0
	})
	r.kill() // gives back what it holds
	list, _ := queues()
	if list[message.QueueSlicesIDDS] != 1 || list[message.QueueResultsIDDS] != 0 {
		t.Errorf("left in the queues: %v", list)
	}
}
