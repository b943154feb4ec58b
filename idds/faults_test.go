package idds_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

func TestWithoutABrokerTimeGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{RunTimeout: time.Second})
	const second = "100002"
	r.send("a")
	r.end(5)
	r.endOf(second, 5)
	ending := func(c document.RunCheck) bool { return c.State == document.RunEnding }
	r.await("the first end", ending)
	r.awaitRun(second, "the second end", ending)
	r.cut()
	// The workers of the first cannot be told; the second closes all the same.
	r.await("the first run", closed)
	r.awaitRun(second, "the second run", closed)
}

func TestWorkersAreToldAfterARestartWhenTheyWereNotBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	stops := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
	<-stops.Ready()
	r.send("a")
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	r.kill()
	// It died between closing the run and telling the workers.
	b := book{t: t, store: reopen(t, r.dir), now: time.Now()}
	b.do(b.result("a", 1, nil), b.end, b.close)
	must(t, b.store.Close())
	r.start()
	d, err := stops.Next(soon(t))
	must(t, err)
	if m, err := message.Decode[message.StopTransformer](d.Body); err != nil || m.RunID.String() != run {
		t.Errorf("%s, %v", d.Body, err)
	}
}

func TestAnAttemptThatWasDecidedOnAndNotSentIsSentAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	r.send("a")
	first := next(t, w)
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	r.kill()
	b := book{t: t, store: reopen(t, r.dir), now: time.Now()}
	var decided *message.Slice
	b.do(b.result("a", 1, crashed), func(tx ledger.Tx) (err error) {
		decided, err = b.ledger.Resend(tx, keyA, b.now.Add(time.Hour))
		return err
	})
	must(t, b.store.Close())
	r.start()
	got := next(t, w)
	if got.Content.AttemptNumber() != 2 || got.CreatedAt.Text() != decided.CreatedAt.Text() || got.CreatedAt.Text() == first.CreatedAt.Text() {
		t.Errorf("%+v", got)
	}
	r.answer(got, nil)
	r.end(1)
	if c := r.await("the end", closed); c.Slices != (document.SliceCounts{Published: 1, Done: 1, Retried: 1}) {
		t.Errorf("%+v", c.Slices)
	}
}

func TestADeadLetterMayComeBeforeItsSlice(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	m := message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.SliceContent{ReqID: "a", Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9)},
	}
	body, err := json.Marshal(m)
	must(t, err)
	must(t, r.link.Publish(soon(t), broker.Out{
		Destination: "DLQ", Body: body,
		Headers: []string{"namespace", namespace, message.HeaderOriginalQueue, message.QueueSlicesWorkers},
	}))
	if m := next(t, r.workers()); m.Content.AttemptNumber() != 2 || m.Content.Identity() != "a" {
		t.Errorf("%+v", m.Content)
	}
}

func TestAnExpiredSliceIsSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	body, err := json.Marshal(message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.SliceContent{ReqID: "a", Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9)},
	})
	must(t, err)
	past := strconv.FormatInt(time.Now().Add(-time.Minute).UnixMilli(), 10)
	must(t, r.link.Publish(soon(t), broker.Out{
		Destination: message.TopicSlices, Body: body, Headers: []string{"namespace", namespace, "expires", past},
	}))
	if m := next(t, r.workers()); m.Content.AttemptNumber() != 2 || m.Content.Identity() != "a" {
		t.Errorf("%+v", m.Content)
	}
}

func TestWhatOthersSayOnATopicIsIgnored(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	r.publish(message.TopicWorkers, message.RunImminentWorker{
		MsgType: message.TypeRunImminentWorker, RunID: message.Run("9"), Namespace: "theirs",
		Content: message.RunImminentWorkerContent{TargetWorkerCount: message.NewInt(7)},
	})
	r.imminent(3)
	r.await("our announcement", func(c document.RunCheck) bool { return c.Workers == 3 })
	r.kill()
	for _, q := range r.broker.Stats() {
		if q.Depth > 0 {
			t.Errorf("%s keeps %d messages", q.Name, q.Depth)
		}
	}
	if runs, err := reopen(t, r.dir).Runs(t.Context(), ""); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func TestAStoreThatIsAwayIsWaitedForAndNothingIsLostOrCountedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	r.send("a")
	r.await("the first slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	r.away.Store(true)
	w := r.workers()
	r.answer(next(t, w), nil)
	r.send("b")
	r.answer(next(t, w), nil)
	r.end(2)
	for _, q := range r.broker.Stats() {
		if "/queue/"+q.Name == message.QueueResultsIDDS && (q.Acked != 0 || q.Added != 2) {
			t.Errorf("of %d results %d are acknowledged without a store", q.Added, q.Acked)
		}
	}
	const away, back, ended = "nothing is acknowledged until it is", "the store is back", "run ended"
	r.hear(away)
	if h := r.service.Health(t.Context()); h.OK || !slices.ContainsFunc(h.Parts, func(p document.HealthPart) bool {
		return p.Name == "store" && !p.OK && strings.Contains(p.Details, "on purpose")
	}) {
		t.Errorf("%+v", h)
	}
	looks := r.looks.Load()
	r.until("looks that succeed", func() bool { return r.looks.Load() > looks+2 })
	if r.log.count(away) != 1 || r.log.count(back) != 0 {
		t.Errorf("a full store can be read, and is full: %d times away, %d times back", r.log.count(away), r.log.count(back))
	}
	if n := r.log.count(ended); n > 0 {
		t.Errorf("the log says %d times what is not stored", n)
	}
	r.away.Store(false)
	c := r.await("the end", closed)
	r.hear(back)
	r.hear(ended)
	r.until("health", func() bool { return r.service.Health(t.Context()).OK })
	if c.Slices.Done != 2 || c.Slices.Absorbed != 0 || !c.OK {
		t.Errorf("%+v", c)
	}
}
