package workflow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

var (
	noon  = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	asker = workflow.Asker{Name: "transceiver", From: "/topic/panda.workers"}
	rules = workflow.Rules{DemandFrom: ledger.WorkflowTask}
)

// tables are a store's, as far as the rules ask for them.
type tables struct {
	ledger.Tx

	runs     map[string]*ledger.Run
	tasks    []ledger.Task
	audit    []string
	actors   []document.Actor
	messages int
	writes   int
}

func newTables() *tables { return &tables{runs: map[string]*ledger.Run{}} }

func (s *tables) Run(_, run string) (*ledger.Run, error)  { return s.runs[run], nil }
func (s *tables) Actors(string) ([]document.Actor, error) { return s.actors, nil }
func (s *tables) PutActor(a document.Actor) error         { s.actors = append(s.actors, a); return nil }
func (s *tables) AddTaskMessage(ledger.TaskMessage) error { s.messages++; return nil }
func (s *tables) PutRun(r *ledger.Run) error              { s.runs[r.RunID.String()] = r; s.writes++; return nil }

func (s *tables) AddAudit(a access.AuditLine) error            { s.audit = append(s.audit, a.Did); return nil }
func (s *tables) CountTaskMessages(string, int64) (int, error) { return s.messages, nil }

func (s *tables) Tasks(f ledger.TaskFilter) (out []ledger.Task, err error) {
	for _, t := range s.tasks {
		if t.Namespace == f.Namespace && (f.Run == "" || f.Run == t.RunID.String()) && (f.Scope == "" || f.Scope == t.Scope) &&
			(f.Name == "" || f.Name == t.Name) && (f.ID == 0 || f.ID == t.ID) && (f.Request == 0 || f.Request == t.Request) {
			out = append(out, t)
		}
	}
	return out, nil
}

func (s *tables) PutTask(t *ledger.Task) error {
	s.writes++
	if i := slices.IndexFunc(s.tasks, func(o ledger.Task) bool { return o.ID == t.ID }); i >= 0 {
		s.tasks[i] = *t
		return nil
	}
	t.ID = int64(len(s.tasks) + 1)
	if t.Request == 0 {
		t.Request = 100 + t.ID
	}
	s.tasks = append(s.tasks, *t)
	return nil
}

// do asks as a message of the namespace n does: its type and its content as JSON.
func (s *tables) do(t *testing.T, msgType, content string) workflow.Answer {
	t.Helper()
	m := message.WorkflowTask{MsgType: msgType, Namespace: "n"}
	if err := json.Unmarshal([]byte(content), &m.Content); err != nil {
		t.Fatal(err)
	}
	a, err := rules.Do(s, m, asker, noon)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// create asks for a task of a run: the name of the request with the run's number, as the production system has it.
func (s *tables) create(t *testing.T, run, sizes string) workflow.Answer {
	t.Helper()
	return s.do(t, message.TypeCreateWorkflowTask, fmt.Sprintf(`{"run_id":%q,"workflow":{"scope":"EIC","name":"fastprocessing_%s","content":{"run_id":%q,%s}}}`, run, run, run, sizes))
}

func (s *tables) mustWant(t *testing.T, run string, workers int, closed bool) {
	t.Helper()
	if r := s.runs[run]; r == nil || r.Workers != workers || r.DemandClosed != closed {
		t.Errorf("run %s: %+v, want %d workers, closed %v", run, r, workers, closed)
	}
}

func TestARequestIsCarriedOutOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	s := newTables()
	first := s.create(t, "7", `"core_count":8,"num_cores_per_worker":2,"site":"A"`)
	s.mustWant(t, "7", 4, false)
	if len(first.Tasks) != 1 || len(first.Changes) != 1 || first.Fault != nil {
		t.Fatalf("%+v", first)
	}
	wrote := s.writes
	again := s.create(t, "7", `"core_count":8,"num_cores_per_worker":2,"site":"A"`)
	if diff := cmp.Diff(first.Tasks, again.Tasks, cmp.Comparer(func(a, b message.RunID) bool { return a.Same(b) })); diff != "" || len(again.Changes) != 0 || s.writes != wrote {
		t.Errorf("%d writes, %+v%s", s.writes-wrote, again.Changes, diff)
	}
	// Another run of the same request has a task of its own and the request's number.
	other := s.create(t, "8", `"target_worker_count":3`)
	if other.Tasks[0].ID == first.Tasks[0].ID || other.Tasks[0].Request != first.Tasks[0].Request {
		t.Errorf("%+v", other.Tasks)
	}
	s.mustWant(t, "8", 3, false)
	s.mustWant(t, "7", 4, false)
}

func TestATaskIsAdjustedInTheUnitsThatItWasMadeWithAndClosed(t *testing.T) {
	t.Parallel()
	s := newTables()
	s.create(t, "7", `"core_count":8,"num_cores_per_worker":2,"site":"A"`)
	for _, step := range []struct {
		content string
		workers int
	}{
		{`{"run_id":"7","core_count":16}`, 8}, // twice the cores, twice the workers
		{`{"transform_id":1,"num_workers":5}`, 5},
		{`{"request_id":101,"site":"B"}`, 5},
		{`{"workload_id":1,"core_count":1}`, 1}, // half a worker is one
	} {
		if a := s.do(t, message.TypeAdjustWorker, step.content); a.Fault != nil || len(a.Changes) != 1 {
			t.Errorf("%s: %+v", step.content, a)
		}
		s.mustWant(t, "7", step.workers, false)
	}
	if a := s.do(t, message.TypeAdjustWorker, `{"run_id":"7","core_count":1}`); a.Fault != nil || len(a.Changes) != 0 {
		t.Errorf("the size that it has: %+v", a)
	}
	for range 2 {
		if a := s.do(t, message.TypeCloseWorkflowTask, `{"run_id":"7"}`); a.Fault != nil || len(a.Tasks) != 1 {
			t.Errorf("%+v", a)
		}
		s.mustWant(t, "7", 1, true) // what it had, for the slices that are left
	}
	if a := s.do(t, message.TypeAdjustWorker, `{"run_id":"7","num_workers":9}`); a.Fault == nil || a.Fault.Kind != workflow.Conflict {
		t.Errorf("a closed task was adjusted: %+v", a)
	}
	if want := []string{"workflow_task.create", "workflow_task.adjust", "workflow_task.adjust", "workflow_task.adjust", "workflow_task.adjust", "workflow_task.close"}; !slices.Equal(s.audit, want) {
		t.Errorf("%q", s.audit)
	}
}

func TestARequestThatCannotBeMetChangesNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		msgType, content string
		kind             workflow.Kind
		words            string
	}{
		"no type":                {"end_run", `{"run_id":"7"}`, workflow.BadRequest, "none of a workflow task"},
		"no run":                 {message.TypeAdjustWorker, `{"num_workers":1}`, workflow.BadRequest, "run_id missing"},
		"no workflow":            {message.TypeCreateWorkflowTask, `{"run_id":"9"}`, workflow.BadRequest, "workflow missing"},
		"no name":                {message.TypeCreateWorkflowTask, `{"run_id":"9","workflow":{"scope":"EIC","content":{}}}`, workflow.BadRequest, "no name"},
		"two runs":               {message.TypeCreateWorkflowTask, `{"run_id":"9","workflow":{"scope":"EIC","name":"x","content":{"run_id":"10"}}}`, workflow.BadRequest, `run "10"`},
		"too many":               {message.TypeCreateWorkflowTask, `{"run_id":"9","workflow":{"scope":"EIC","name":"x","content":{"core_count":99999999999}}}`, workflow.BadRequest, "not between"},
		"fewer than none":        {message.TypeAdjustWorker, `{"run_id":"7","num_workers":-1}`, workflow.BadRequest, "not between"},
		"less than no memory":    {message.TypeAdjustWorker, `{"run_id":"7","memory_per_core":-5}`, workflow.BadRequest, "-5 MB"},
		"unknown run":            {message.TypeAdjustWorker, `{"run_id":"99","num_workers":1}`, workflow.NoObject, `run "99"`},
		"number 0 is not all":    {message.TypeCloseWorkflowTask, `{"transform_id":0}`, workflow.NoObject, "transform 0"},
		"numbers that differ":    {message.TypeCloseWorkflowTask, `{"transform_id":1,"workload_id":2}`, workflow.NoObject, "workload 2"},
		"more than one is meant": {message.TypeAdjustWorker, `{"request_id":101,"num_workers":1}`, workflow.BadRequest, "2 workflow tasks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTables()
			s.create(t, "7", `"target_worker_count":2`)
			s.create(t, "8", `"target_worker_count":3`)
			wrote, noted := s.writes, len(s.audit)
			a := s.do(t, c.msgType, c.content)
			if a.Fault == nil || a.Fault.Kind != c.kind || !strings.Contains(a.Fault.Text, c.words) {
				t.Errorf("%+v, want %s with %q", a.Fault, c.kind, c.words)
			}
			if s.writes != wrote || len(s.audit) != noted || len(a.Changes) != 0 {
				t.Errorf("%d writes, %q", s.writes-wrote, s.audit[noted:])
			}
		})
	}
}

func TestWhereSomethingElseAsksForWorkersATaskIsRefusedAndTheSecondActorIsNewsOnce(t *testing.T) {
	t.Parallel()
	s := newTables()
	m := message.WorkflowTask{MsgType: message.TypeCloseWorkflowTask, Namespace: "n", RunID: message.Run("7")}
	for i := range 2 {
		a, err := workflow.Rules{DemandFrom: ledger.RunImminent}.Do(s, m, asker, noon)
		if err != nil || a.Fault == nil || a.Fault.Kind != workflow.Conflict || a.News != (i == 0) {
			t.Errorf("%+v, %v", a, err)
		}
	}
}

func TestMessagesAreLeftAllOrNone(t *testing.T) {
	t.Parallel()
	s := newTables()
	many := slices.Repeat([]ledger.TaskMessage{{Namespace: "n", RequestID: 101}}, 600)
	if a, err := rules.Leave(s, many, asker, noon); err != nil || a.Fault == nil || a.Fault.Kind != workflow.NoObject {
		t.Errorf("%+v, %v", a, err)
	}
	s.create(t, "7", `"target_worker_count":2`)
	if a, err := rules.Leave(s, many, asker, noon); err != nil || a.Fault != nil || s.messages != 600 || len(a.Changes) != 1 {
		t.Errorf("%+v, %v, %d kept", a, err, s.messages)
	}
	if a, err := rules.Leave(s, many, asker, noon); err != nil || a.Fault == nil || a.Fault.Kind != workflow.Conflict || s.messages != 600 || len(a.Changes) != 0 {
		t.Errorf("%+v, %v, %d kept", a, err, s.messages)
	}
}

func TestARunThatNobodyMakesATaskOfGetsWhatItsAnnouncementAskedFor(t *testing.T) {
	t.Parallel()
	s := newTables()
	s.runs["7"] = &ledger.Run{Namespace: "n", RunID: message.Run("7"), State: document.RunOpen, Announced: 5, AnnouncedAt: noon}
	for after, want := range map[time.Duration]bool{time.Minute - 1: false, time.Minute: true} {
		s.runs["7"].Workers = 0
		did, err := rules.TakeOver(s, "n", "7", time.Minute, noon.Add(after))
		if err != nil || did != want || (s.runs["7"].Workers == 5) != want {
			t.Errorf("after %s: %v, %v, %+v", after, did, err, s.runs["7"])
		}
	}
	s.runs["7"].Workers, s.runs["7"].Tasks = 0, 1
	if did, err := rules.TakeOver(s, "n", "7", time.Minute, noon.Add(time.Hour)); err != nil || did {
		t.Errorf("%v, %v: it has a task", did, err)
	}
}

func TestEveryRequestHasTheReplyOfItsType(t *testing.T) {
	t.Parallel()
	s := newTables()
	for _, c := range []struct{ msgType, content, reply, has string }{
		{message.TypeCreateWorkflowTask, `{"run_id":7,"workflow":{"scope":"EIC","name":"x_7","content":{"core_count":4}}}`, message.TypeCreatedWorkflowTask, `"run_id":7`},
		{message.TypeAdjustWorker, `{"transform_id":1,"core_count":8}`, message.TypeAdjustedWorker, `"num_workers":8`},
		{message.TypeAdjustWorker, `{"run_id":8,"core_count":8}`, message.TypeWorkflowTaskError, `"error":"NoObject"`},
		{message.TypeCloseWorkflowTask, `{"run_id":7}`, message.TypeClosedWorkflowTask, message.TaskToCancel},
		{message.TypeCloseWorkflowTask, `{"run_id":8}`, message.TypeClosedWorkflowTask, message.TaskNotFound}, // as old clients expect it
	} {
		m := message.WorkflowTask{MsgType: c.msgType}
		if err := json.Unmarshal([]byte(c.content), &m.Content); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(workflow.Reply(m, s.do(t, c.msgType, c.content)))
		if err != nil || !strings.Contains(string(body), `"msg_type":"`+c.reply+`"`) || !strings.Contains(string(body), c.has) {
			t.Errorf("%s %s: %s, %v", c.msgType, c.content, body, err)
		}
	}
}
