package idds_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

const transceiver = "panda-worker-agent-1"

// task is the transceiver's message, as it writes it.
func (r *rig) task(msgType, content string) {
	r.t.Helper()
	r.publishBody(message.TopicWorkers, fmt.Appendf(nil,
		`{"msg_type":%q,"run_id":%q,"created_at":"2026-01-18T14:36:03.194616+00:00","sender":%q,"content":{"run_id":%q,%s}}`, msgType, run, transceiver, run, content))
}

// created asks for 30 workers with 60 cores.
const created = `"workflow":{"scope":"EIC_2026","name":"fastprocessing","content":{"run_id":"100001","core_count":60,"target_worker_count":30,"site":"BNL-OSG","panda_attributes":{"vo":"wlcg"}}}`

// stop tells workers that the run is over, as the transceiver does.
func (r *rig) stop() {
	r.t.Helper()
	r.publishBody(message.TopicTransformer, fmt.Appendf(nil,
		`{"msg_type":"stop_transformer","run_id":%q,"created_at":"2026-01-18T14:36:03.194616+00:00","content":{"requested_at":"2026-01-18T14:36:03.194616"}}`, run))
}

func (r *rig) wanted() int {
	r.t.Helper()
	d, err := r.service.Demand(soon(r.t))
	must(r.t, err)
	if len(d.Demands) == 0 {
		return -1
	}
	return d.Demands[0].Wanted
}

// actors waits for so many messages of second actors.
func (r *rig) actors(count int) []document.Actor {
	r.t.Helper()
	var list []document.Actor
	r.await(fmt.Sprintf("%d messages of another actor", count), func(document.RunCheck) bool {
		var err error
		list, err = r.store.Actors(soon(r.t), namespace)
		must(r.t, err)
		n := 0
		for _, a := range list {
			n += a.Count
		}
		return n == count
	})
	return list
}

func mustBe(t *testing.T, got []document.Actor, want ...document.Actor) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(document.Actor{}, "FirstAt", "LastAt")); diff != "" {
		t.Error(diff)
	}
	for _, a := range got {
		if a.FirstAt.IsZero() || a.LastAt.Before(a.FirstAt) {
			t.Errorf("first %s, last %s", a.FirstAt, a.LastAt)
		}
	}
}

func TestTheDemandMayComeFromTheTransceiver(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{Duties: ledger.Duties{DemandFrom: ledger.WorkflowTask}})
	r.imminent(7)
	r.await("the announcement", func(document.RunCheck) bool { return true })
	if n := r.wanted(); n != 0 {
		t.Errorf("%d workers wanted before anybody asked for them", n)
	}
	r.task(message.TypeCreateWorkflowTask, created)
	r.await("the task", func(c document.RunCheck) bool { return c.Workers == 30 })
	r.imminent(7) // only noted
	r.task(message.TypeAdjustWorker, `"request_id":1,"transform_id":1,"workload_id":null,"core_count":90,"memory_per_core":null,"site":null`)
	r.await("half as many again", func(c document.RunCheck) bool { return c.Workers == 45 })
	r.send("a")
	r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
	r.task(message.TypeCloseWorkflowTask, `"request_id":1,"transform_id":1,"workload_id":null`)
	r.end(1)
	r.await("the end", func(c document.RunCheck) bool { return c.State == document.RunEnding })
	if n := r.wanted(); n != 45 {
		t.Errorf("%d workers wanted with a slice left", n)
	}
	r.answer(next(t, r.workers()), nil)
	r.await("the close", closed)
	if n := r.wanted(); n != 0 {
		t.Errorf("%d workers wanted at the end", n)
	}
	mustBe(t, r.actors(0))
}

func TestADemandByTheOtherWayIsASecondActor(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	r.imminent(7)
	r.task(message.TypeCreateWorkflowTask, created)
	r.task(message.TypeAdjustWorker, `"core_count":90`)
	mustBe(t, r.actors(2), document.Actor{Namespace: namespace, Duty: "demand", Sender: transceiver, Count: 2, RunID: run})
	if n := r.wanted(); n != 7 {
		t.Errorf("%d workers wanted, the run asked for 7", n)
	}
}

func TestTheStopOfAnotherCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{Duties: ledger.Duties{StopSender: ledger.Other}})
	stops := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
	<-stops.Ready()
	r.send("a")
	r.answer(next(t, r.workers()), nil)
	r.end(1)
	r.await("the end", closed)
	stopped := func() bool {
		open, err := r.store.OpenRuns(soon(t), namespace)
		must(t, err)
		return len(open) == 0
	}
	if stopped() {
		t.Error("over although nobody told the workers")
	}
	r.kill()
	r.stop() // while idds is away
	r.start()
	r.await("the stop", func(document.RunCheck) bool { return stopped() })
	// The first stop is the transceiver's: none is ours.
	d, err := stops.Next(soon(t))
	must(t, err)
	if m, err := message.Decode[message.StopTransformer](d.Body); err != nil || m.Sender != "" {
		t.Errorf("%s, %v", d.Body, err)
	}
	mustBe(t, r.actors(0))
}

func TestAStopThatWeDidNotSendIsASecondActor(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	stops := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
	<-stops.Ready()
	r.send("a")
	r.answer(next(t, r.workers()), nil)
	r.end(1)
	r.await("the end", closed)
	if d, err := stops.Next(soon(t)); err != nil || !strings.Contains(string(d.Body), `"sender":"test.idds.`) {
		t.Errorf("our own stop: %v, %v", d, err)
	}
	r.stop()
	mustBe(t, r.actors(1), document.Actor{Namespace: namespace, Duty: "stop", Sender: "(no sender)", Count: 1, RunID: run})
}

func TestWithAnotherRetryOwnerNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{MaxAttempts: 2, Duties: ledger.Duties{RetryOwner: ledger.Other}})
	w := r.workers()
	m := r.send("a")
	r.answer(next(t, w), crashed)
	c := r.await("the failure", func(c document.RunCheck) bool {
		return len(c.Outstanding) == 1 && c.Outstanding[0].State == string(ledger.Waiting)
	})
	if where := c.Outstanding[0].Where; !strings.Contains(where, "another program") {
		t.Errorf("where: %s", where)
	}
	if due, err := r.store.Due(soon(t), namespace, time.Now().Add(time.Hour)); err != nil || len(due) != 0 {
		t.Errorf("%d are due, %v", len(due), err)
	}
	// He sends it again, and it fails for good.
	m.Content.Attempt, m.CreatedAt, m.Sender = message.NewInt(2), message.At(time.Now()), "their-retries"
	r.publish(message.TopicSlices, m)
	again := next(t, w)
	if again.Content.AttemptNumber() != 2 || again.Sender != "their-retries" {
		t.Errorf("%+v", again)
	}
	r.answer(again, crashed)
	r.end(1)
	if c := r.await("the end", closed); c.Slices != (document.SliceCounts{Published: 1, Failed: 1, Retried: 1}) {
		t.Errorf("%+v", c.Slices)
	}
	// Dead letters are his too.
	body := []byte(`{"msg_type":"slice","run_id":"100001","content":{"req_id":"b","filename":"f.stf","start":0,"end":9}}`)
	must(t, r.link.Publish(soon(t), broker.Out{
		Destination: "DLQ", Body: body, Headers: []string{"namespace", namespace, message.HeaderOriginalQueue, message.QueueSlicesWorkers},
	}))
	for _, q := range r.broker.Stats() {
		if q.Name == "DLQ" && (q.Depth != 1 || q.Consumers != 0) {
			t.Errorf("dead letters: %+v", q)
		}
	}
	mustBe(t, r.actors(0))
}

func TestAnAttemptThatWeDidNotSendIsASecondActor(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	w := r.workers()
	m := r.send("a")
	r.answer(next(t, w), crashed)
	if again := next(t, w); !strings.HasPrefix(again.Sender, "test.idds.") { // ours, and its echo is nobody else's
		t.Errorf("sent by %q", again.Sender)
	}
	m.Content.Attempt, m.Sender = message.NewInt(3), "their-retries"
	r.publish(message.TopicSlices, m)
	mustBe(t, r.actors(1), document.Actor{Namespace: namespace, Duty: "retry", Sender: "their-retries", Count: 1, RunID: run})
}

func TestTwoOfANamespaceNoticeEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{HereEvery: 10 * time.Millisecond})
	first, log := r.store, r.log
	r.dir = t.TempDir() // another store, as somebody has who starts it in another folder
	r.start()
	for i, one := range []struct {
		store ledger.Store
		log   *logLines
		other string
	}{{first, log, r.store.Name()}, {r.store, r.log, first.Name()}} {
		r.until("it to be noticed", func() bool {
			list, err := one.store.Actors(soon(t), namespace)
			must(t, err)
			return len(list) == 1 && list[0].Duty == "books" && list[0].Sender == namespace+".idds."+one.other
		})
		r.until("the log", func() bool { return one.log.count("end one of them") > 0 })
		if n := one.log.count("end one of them"); n != 1 {
			t.Errorf("%d says it %d times", i, n)
		}
	}
}

func TestWhoIsAloneNoticesNobody(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	senders := map[string]bool{}
	r := newRig(t, idds.Config{HereEvery: time.Millisecond, Saw: func(m document.SeenMessage) {
		mu.Lock()
		defer mu.Unlock()
		senders[m.MsgType+" of "+m.Sender] = true
	}})
	r.send("a")
	r.answer(next(t, r.workers()), nil)
	r.end(1)
	r.await("the end", closed)
	r.publishBody(message.TopicWorkers, []byte(`{"msg_type":"heartbeat","namespace":"test","sender":"test.idds.before","created_at":"2026-01-18T14:36:03Z"}`)) // the one of before
	r.publish(message.TopicWorkers, message.Envelope{MsgType: message.TypeHeartbeat, Namespace: namespace, Sender: "test.Publisher.spool1493"})                // a production worker's
	r.endOf("2", 1)                                                                                                                                            // comes after both
	r.awaitRun("2", "the run", func(document.RunCheck) bool { return true })
	mustBe(t, r.actors(0))
	mu.Lock()
	defer mu.Unlock()
	if self := "heartbeat of " + namespace + ".idds." + r.store.Name(); senders[self] || !senders["heartbeat of test.idds.before"] {
		t.Errorf("what was seen: %v", senders)
	}
}

// What a login may not send ends its connection, at brokers such as Artemis: each minute, for what nobody misses.
func TestWhoMayNotSayThatItIsThereTriesOnce(t *testing.T) {
	t.Parallel()
	var tried atomic.Int64
	r := newRigOn(t, stompd.Config{Fault: func(p stompd.Passing) (f stompd.Fault) {
		if p.In && p.Command == frame.SEND && p.Header.Get("msg_type") == message.TypeHeartbeat {
			tried.Add(1)
			f.Refuse = "User does not have permission='SEND' on address panda.workers"
		}
		return f
	}}, idds.Config{HereEvery: time.Millisecond})
	r.until("it to be tried", func() bool { return r.log.count("what=heartbeat") > 0 })
	for i := range 20 {
		r.send(fmt.Sprint("s", i))
		r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == i+1 })
	}
	if n := tried.Load(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}

func TestManyNamesOfSecondActorsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for i := range 130 {
		m := message.StopTransformer{RunID: message.Run(run), Namespace: namespace, Sender: fmt.Sprint("name ", i)}
		b.do(func(tx ledger.Tx) error {
			_, err := b.ledger.Stop(tx, m, b.now)
			return err
		})
	}
	list, err := b.store.Actors(t.Context(), "")
	if must(t, err); len(list) != 101 || list[0].Sender != "(others)" || list[0].Count != 30 {
		t.Errorf("%d actors, the first %+v", len(list), list[0])
	}
}

func TestADutyHasAnOwnerThatThereIs(t *testing.T) {
	t.Parallel()
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}})
	must(t, err)
	_, err = idds.New(newBook(t).store, link, logging.Discard(), idds.Config{
		Duties: ledger.Duties{DemandFrom: "nobody", StopSender: "them", RetryOwner: "x"},
	})
	for _, word := range []string{"--demand-from", "--stop-sender", "--retry-owner"} {
		if err == nil || !strings.Contains(err.Error(), word) || exitcode.From(err) != exitcode.Usage {
			t.Errorf("%q is not said: %v", word, err)
		}
	}
}

// A broker may refuse to let idds hear the workers' topic, and ends the connection of who asks: that line is one of its own.
func TestWhoMayNotHearTheWorkersTopicGoesOnWithTheRest(t *testing.T) {
	t.Parallel()
	refused, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}, Tuning: broker.Tuning{FirstWait: time.Millisecond}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- refused.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	r := newRig(t, idds.Config{Stops: refused}) // is ready
	r.send("a")
	r.answer(next(t, r.workers()), nil)
	r.end(1)
	r.await("the end", closed)
}
