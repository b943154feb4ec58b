package idds_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/workflow"
)

// byTask is an idds that is asked for workers by workflow tasks.
func byTask() idds.Config { return idds.Config{Duties: ledger.Duties{DemandFrom: ledger.WorkflowTask}} }

// replies hears what is said on the workers' topic.
func (r *rig) replies() *broker.Consumer {
	r.t.Helper()
	c := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicWorkers, Ack: "auto", Selector: "namespace='" + namespace + "'"})
	<-c.Ready()
	return c
}

// reply is the next one of an idds: type, and content in the order of its keys.
func reply(t *testing.T, c *broker.Consumer) (msgType, content string) {
	t.Helper()
	for {
		d, err := c.Next(soon(t))
		must(t, err)
		e, err := message.Peek(d.Body)
		must(t, err)
		if !message.IsWorkflowReply(e.MsgType) {
			continue
		}
		var m struct{ Content any }
		must(t, json.Unmarshal(d.Body, &m))
		for name, want := range map[string]string{"msg_type": e.MsgType, "namespace": namespace, "run_id": e.RunID.String(), "vo": "eic", "persistent": "true"} {
			if d.Header.Get(name) != want {
				t.Errorf("header %s of %s: %q, not %q", name, e.MsgType, d.Header.Get(name), want)
			}
		}
		if !strings.HasPrefix(e.Sender, namespace+".idds.") || e.CreatedAt.Time().IsZero() {
			t.Errorf("%s", d.Body)
		}
		b, err := json.Marshal(m.Content)
		must(t, err)
		return e.MsgType, string(b)
	}
}

func mustReply(t *testing.T, c *broker.Consumer, wantType, want string) {
	t.Helper()
	gotType, got := reply(t, c)
	if diff := cmp.Diff(wantType+" "+want, gotType+" "+got); diff != "" {
		t.Error(diff)
	}
}

const (
	numbers1 = `{"input_coll_id":1,"output_coll_id":2,"processing_id":1,"request_id":1,"run_id":"100001","transform_id":1,"workload_id":1}`
	closed1  = `{"request_id":1,"run_id":"100001","status":"ToCancel","transform_id":1,"workload_id":1}`
)

func TestAWorkflowTaskIsAnsweredAsAnIDDSDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	r.task(message.TypeCreateWorkflowTask, created)
	mustReply(t, c, message.TypeCreatedWorkflowTask, numbers1)
	r.task(message.TypeAdjustWorker, `"request_id":1,"transform_id":1,"workload_id":1,"core_count":72,"memory_per_core":null,"site":null`)
	mustReply(t, c, message.TypeAdjustedWorker,
		`{"core_count":72,"memory_per_core":null,"num_workers":36,"request_id":1,"run_id":"100001","site":null,"transform_id":1,"workload_id":1}`)
	// By the run alone, where the numbers are not known.
	r.task(message.TypeAdjustWorker, `"request_id":null,"transform_id":null,"workload_id":null,"core_count":90,"memory_per_core":2000.5,"site":"BNL-2"`)
	mustReply(t, c, message.TypeAdjustedWorker,
		`{"core_count":90,"memory_per_core":2000.5,"num_workers":45,"request_id":1,"run_id":"100001","site":"BNL-2","transform_id":1,"workload_id":1}`)
	if n := r.wanted(); n != 45 {
		t.Errorf("%d workers wanted", n)
	}
	r.task(message.TypeCloseWorkflowTask, `"request_id":null,"transform_id":null,"workload_id":null`)
	mustReply(t, c, message.TypeClosedWorkflowTask, closed1)
	r.task(message.TypeCloseWorkflowTask, `"request_id":5,"transform_id":null,"workload_id":null`)
	mustReply(t, c, message.TypeClosedWorkflowTask, `{"request_id":5,"run_id":"100001","status":"NotFound","transform_id":null,"workload_id":null}`)
	mustBe(t, r.actors(0))
	lines, _, err := r.store.AuditPage(soon(t), namespace, 0, 10)
	must(t, err)
	var did []string
	for _, l := range lines {
		did = append(did, l.Did)
		if l.Who != transceiver || l.From != message.TopicWorkers || !strings.Contains(l.To, run) {
			t.Errorf("%+v", l)
		}
	}
	if got := strings.Join(did, " "); got != "workflow_task.close workflow_task.adjust workflow_task.adjust workflow_task.create" {
		t.Error(got)
	}
}

func TestARequestThatComesAgainIsDoneOnceAndAnsweredEachTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	const adjust = `"request_id":1,"transform_id":1,"workload_id":1,"core_count":90`
	for _, m := range []struct{ asked, content, answered, want string }{
		{message.TypeCreateWorkflowTask, created, message.TypeCreatedWorkflowTask, numbers1},
		{
			message.TypeAdjustWorker, adjust, message.TypeAdjustedWorker,
			`{"core_count":90,"memory_per_core":null,"num_workers":45,"request_id":1,"run_id":"100001","site":null,"transform_id":1,"workload_id":1}`,
		},
		{message.TypeCreateWorkflowTask, created, message.TypeCreatedWorkflowTask, numbers1}, // asks for no 30 workers again
		{message.TypeCloseWorkflowTask, `"request_id":1`, message.TypeClosedWorkflowTask, closed1},
	} {
		for range 3 {
			r.task(m.asked, m.content)
			mustReply(t, c, m.answered, m.want)
		}
		if n := r.wanted(); m.asked == message.TypeCreateWorkflowTask && n != 30 && n != 45 {
			t.Errorf("%d workers wanted", n)
		}
	}
	list, err := r.store.Tasks(soon(t), ledger.TaskFilter{})
	if err != nil || len(list) != 1 || len(list[0].Changes) != 2 || list[0].Workers != 45 || list[0].Open() {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestTheLogHasNoChangeThatIsNotStored(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	r.away.Store(true)
	r.task(message.TypeCreateWorkflowTask, created)
	r.until("a task that is made and not stored", func() bool { return r.undone.Load() > 0 })
	if r.log.count("workflow_task.create") > 0 {
		t.Error("a change that was not stored is in the log")
	}
	r.away.Store(false)
	mustReply(t, c, message.TypeCreatedWorkflowTask, numbers1)
	if n := r.log.count("workflow_task.create"); n != 1 {
		t.Errorf("one change is in the log %d times", n)
	}
}

func TestARequestWhoseReplyGotLostIsAnsweredByTheNextIDDS(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	r.kill()
	r.task(message.TypeCreateWorkflowTask, created) // a durable subscription keeps it
	r.start()
	mustReply(t, c, message.TypeCreatedWorkflowTask, numbers1)
}

func TestRunsOfOneNameShareARequestAndSitesOfOneRunAddUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	create := func(id, name, site string, workers int) string {
		r.publishBody(message.TopicWorkers, fmt.Appendf(nil, `{"msg_type":"create_workflow_task","run_id":%s,"content":{"workflow":{"scope":"EIC_2026","name":%q,
			"content":{"run_id":%s,"core_count":%d,"target_worker_count":%d,"site":%q}}}}`, id, name, id, workers, workers, site))
		_, content := reply(t, c)
		return content
	}
	create(`"100001"`, "EIC_2026_fastproc_A_20260118_100001", "A", 10)
	create(`"100001"`, "EIC_2026_fastproc_B_20260118", "B", 5)
	// The run's number comes back in the type in which it came.
	if got, want := create(`100002`, "EIC_2026_fastproc_A_20260118", "A", 1), `{"input_coll_id":5,"output_coll_id":6,"processing_id":3,"request_id":1,"run_id":100002,"transform_id":3,"workload_id":3}`; got != want {
		t.Error(cmp.Diff(want, got))
	}
	runs, err := r.store.Runs(soon(t), namespace)
	must(t, err)
	if diff := cmp.Diff(map[string]int{"A": 10, "B": 5}, runs[0].SiteWorkers); diff != "" || runs[0].Workers != 15 || runs[1].Workers != 1 {
		t.Errorf("%+v", runs)
	}
	r.task(message.TypeAdjustWorker, `"core_count":20`) // which of the two?
	if kind, text := reply(t, c); kind != message.TypeWorkflowTaskError || !strings.Contains(text, "there are 2 workflow tasks") || !strings.Contains(text, `"error":"BadRequest"`) {
		t.Error(kind, text)
	}
	r.task(message.TypeCloseWorkflowTask, `"transform_id":1`)
	mustReply(t, c, message.TypeClosedWorkflowTask, closed1)
	r.await("one site less", func(c document.RunCheck) bool { return c.Workers == 5 })
}

func TestARequestThatCannotBeMetIsAnsweredWithAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	r.task(message.TypeCreateWorkflowTask, created)
	mustReply(t, c, message.TypeCreatedWorkflowTask, numbers1)
	for _, bad := range []struct{ asked, content, words string }{
		{message.TypeAdjustWorker, `"request_id":77,"core_count":3`, "NoObject"},
		{message.TypeAdjustWorker, `"request_id":1,"transform_id":1,"workload_id":2,"core_count":3`, "NoObject"},
		{message.TypeAdjustWorker, `"request_id":0,"core_count":3`, "NoObject"},
		{message.TypeAdjustWorker, `"core_count":-1`, "not between 0 and 1000000"},
		{message.TypeAdjustWorker, `"core_count":9223372036854775807`, "not between 0 and 1000000"},
		{message.TypeAdjustWorker, `"core_count":"many"`, "not a whole number"},
		{message.TypeAdjustWorker, `"memory_per_core":-4`, "memory_per_core is -4 MB"},
		{message.TypeAdjustWorker, `"run_id":"7","core_count":3`, `for run \"7\"`}, // the last key counts
		{message.TypeCloseWorkflowTask, `"run_id":7`, `for run \"7\"`},
		{message.TypeCreateWorkflowTask, `"workflow":{"name":"n","content":{}}`, "has no scope"},
		{message.TypeCreateWorkflowTask, `"workflow":[]`, "cannot be read"},
		{message.TypeCreateWorkflowTask, `"workflow":null`, "workflow missing"},
		{message.TypeCreateWorkflowTask, `"workflow":{"scope":"s","name":"n","content":{"run_id":"7"}}`, `for run \"7\"`},
		{message.TypeCreateWorkflowTask, `"workflow":{"scope":"s","name":"n","content":{"target_worker_count":1e9}}`, "not between 0 and 1000000"},
		{message.TypeCreateWorkflowTask, `"workflow":{"scope":"` + strings.Repeat("s", 501) + `","name":"n"}`, "longer than 500 bytes"},
		{message.TypeCreateWorkflowTask, `"workflow":{"scope":"s","name":"n","more":"` + strings.Repeat("s", 70_000) + `"}`, "longer than 65536 bytes"},
	} {
		r.task(bad.asked, bad.content)
		kind, text := reply(t, c)
		if kind != message.TypeWorkflowTaskError || !strings.Contains(text, bad.words) || strings.Contains(text, "junk") || !strings.Contains(text, `"request":"`+bad.asked+`"`) {
			t.Errorf("%s %.80s: %s %s", bad.asked, bad.content, kind, text)
		}
	}
	r.publishBody(message.TopicWorkers, []byte(`{"msg_type":"adjust_worker","content":{}}`))
	if kind, text := reply(t, c); kind != message.TypeWorkflowTaskError || !strings.Contains(text, "run_id missing") {
		t.Error(kind, text)
	}
	list, err := r.store.Tasks(soon(t), ledger.TaskFilter{})
	if err != nil || len(list) != 1 || len(list[0].Changes) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWhereAnotherIDDSAnswersThisOneDoesNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	c := r.replies()
	r.imminent(7)
	r.task(message.TypeCreateWorkflowTask, created)
	r.task(message.TypeAdjustWorker, `"core_count":"x"`)
	r.publishBody(message.TopicWorkers, []byte(`{"msg_type":"created_workflow_task","run_id":"100001","content":{"request_id":99}}`)) // his
	for heard := ""; !strings.Contains(heard, `"request_id":99`); {
		d, err := c.Next(soon(t))
		must(t, err)
		if heard = string(d.Body); strings.Contains(heard, namespace+".idds.") {
			t.Errorf("answered: %s", heard)
		}
	}
	mustBe(t, r.actors(1), document.Actor{Namespace: namespace, Duty: "demand", Sender: transceiver, Count: 1, RunID: run})
}

func TestAnotherThatAnswersTooIsASecondActor(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	r.task(message.TypeCreateWorkflowTask, created)
	r.publishBody(message.TopicWorkers, []byte(`{"msg_type":"created_workflow_task","run_id":"100001","content":{"request_id":99}}`))
	mustBe(t, r.actors(1), document.Actor{Namespace: namespace, Duty: "answer", Sender: "(no sender)", Count: 1, RunID: run})
}

func TestADutyThatNobodyDoesIsTakenOver(t *testing.T) {
	t.Parallel()
	cfg := byTask()
	cfg.StopSender, cfg.TakeOverAfter = ledger.Other, 50*time.Millisecond
	r := newRig(t, cfg)
	stops := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
	<-stops.Ready()
	r.imminent(7) // and no transceiver makes a task of it
	r.await("its workers", func(c document.RunCheck) bool { return c.Workers == 7 })
	r.hear("nobody has made a workflow task of a run")
	r.send("a")
	r.answer(next(t, r.workers()), nil)
	r.end(1)
	d, err := stops.Next(soon(t))
	must(t, err)
	if m, err := message.Decode[message.StopTransformer](d.Body); err != nil || !strings.HasPrefix(m.Sender, namespace+".idds.") {
		t.Errorf("%s, %v", d.Body, err)
	}
}

func TestATransceiverThatComesLateHasItsDutyAgain(t *testing.T) {
	t.Parallel()
	cfg := byTask()
	cfg.TakeOverAfter = time.Millisecond
	r := newRig(t, cfg)
	r.imminent(7)
	r.await("its workers", func(c document.RunCheck) bool { return c.Workers == 7 })
	r.task(message.TypeCreateWorkflowTask, created)
	r.await("what the task asks for, and no more", func(c document.RunCheck) bool { return c.Workers == 30 })
}

// A store hands out a thousand tasks at once.
func TestAllTasksOfARunAddUpHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	rules := workflow.Rules{DemandFrom: ledger.WorkflowTask}
	const n = 1100
	do := func(tx ledger.Tx, body string) error {
		m, err := message.Decode[message.WorkflowTask]([]byte(body))
		if err != nil {
			return err
		}
		m.Namespace = namespace
		a, err := rules.Do(tx, m, workflow.Asker{Name: "me"}, b.now)
		if a.Fault != nil {
			t.Errorf("%+v", a.Fault)
		}
		return err
	}
	b.do(func(tx ledger.Tx) error {
		for i := 1; i < n; i++ {
			task := ledger.Task{Namespace: namespace, RunID: message.Run(run), Scope: "s", Name: fmt.Sprint("n", i), TaskSize: document.TaskSize{Workers: 2}}
			if err := tx.PutTask(&task); err != nil {
				return err
			}
		}
		return do(tx, `{"msg_type":"create_workflow_task","run_id":"`+run+`","content":{"workflow":{"scope":"s","name":"last","content":{"run_id":"`+run+`","target_worker_count":2}}}}`)
	})
	if r := b.run(); r.Workers != 2*n || r.Tasks != n {
		t.Errorf("%d workers of %d tasks", r.Workers, r.Tasks)
	}
	b.do(func(tx ledger.Tx) error {
		return do(tx, `{"msg_type":"close_workflow_task","run_id":"`+run+`","content":{}}`)
	})
	if r := b.run(); !r.DemandClosed {
		t.Error("some tasks are open still")
	}
}

// Python copies what somebody has written into his configuration.
func TestNumbersOfAnAnnouncementMayStandInQuotes(t *testing.T) {
	t.Parallel()
	const said = `"target_worker_count":"4","num_ram_per_core":4000.5,"memory_per_core":"4000.5","slice_processing_time":"2.5","site":7`
	r := newRig(t, idds.Config{})
	r.publishBody(message.TopicWorkers, []byte(`{"msg_type":"run_imminent_worker","run_id":"100001","content":{`+said+`}}`))
	r.await("the announcement", func(c document.RunCheck) bool { return c.Workers == 4 })
	r = newRig(t, byTask())
	c := r.replies()
	r.task(message.TypeCreateWorkflowTask, `"workflow":{"scope":"s","name":"n","content":{"run_id":"100001",`+said+`}}`)
	mustReply(t, c, message.TypeCreatedWorkflowTask, numbers1)
	r.task(message.TypeAdjustWorker, `"num_workers":"5","memory_per_core":"2000"`)
	mustReply(t, c, message.TypeAdjustedWorker,
		`{"core_count":null,"memory_per_core":2000,"num_workers":5,"request_id":1,"run_id":"100001","site":null,"transform_id":1,"workload_id":1}`)
}

func TestOnlyTheRunsNumberAtTheEndIsNoPartOfATasksName(t *testing.T) {
	t.Parallel()
	r := newRig(t, byTask())
	c := r.replies()
	for i, name := range []string{"fast_100001_A", "fast_100001_B", "fast_100001x", "fast_100001", "fast", "_100001"} {
		r.task(message.TypeCreateWorkflowTask, fmt.Sprintf(`"workflow":{"scope":"s","name":%q,"content":{"run_id":"100001","target_worker_count":1,"site":"site %d"}}`, name, i))
		if kind, text := reply(t, c); kind != message.TypeCreatedWorkflowTask {
			t.Error(name, kind, text)
		}
	}
	tasks, err := r.store.Tasks(soon(t), ledger.TaskFilter{})
	must(t, err)
	var names []string
	for i := range tasks {
		names = append(names, tasks[i].Name)
	}
	if diff := cmp.Diff([]string{"fast_100001_A", "fast_100001_B", "fast_100001x", "fast", "_100001"}, names); diff != "" {
		t.Error(diff)
	}
	r.await("the workers of all of them", func(c document.RunCheck) bool { return c.Workers == 5 })
}
