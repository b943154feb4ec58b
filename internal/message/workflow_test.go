package message_test

import (
	"testing"

	"tfpilot/internal/message"
)

func TestAWorkflowTaskSaysHowManyWorkersItWants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		workers int
	}{
		"as the transceiver sends it": {`{"msg_type":"create_workflow_task","run_id":"102023","created_at":"2026-01-18T14:36:03.194616+00:00","content":{"run_id":"102023",` +
			`"workflow":{"scope":"EIC_2026","name":"n","content":{"run_id":"102023","core_count":30,"target_worker_count":15,"panda_attributes":{"vo":"wlcg"}}}}}`, 15},
		"by another key":                    {`{"msg_type":"create_workflow_task","run_id":102023,"content":{"workflow":{"content":{"core_count":4,"num_workers":7}}}}`, 7},
		"by cores, of which a worker has 1": {`{"msg_type":"create_workflow_task","run_id":102023,"content":{"workflow":{"content":{"core_count":"30"}}}}`, 30},
		"by cores, of which a worker has 8": {`{"msg_type":"create_workflow_task","run_id":102023,"content":{"workflow":{"content":{"core_count":30,"num_cores_per_worker":8}}}}`, 4},
		"by nothing":                        {`{"msg_type":"create_workflow_task","run_id":102023,"content":{"workflow":{}}}`, 1},
		"the workflow in the content":       {`{"msg_type":"create_workflow_task","content":{"scope":"s","name":"n","content":{"run_id":102023,"target_worker_count":3}}}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := message.Decode[message.WorkflowTask]([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			w, err := m.Workflow()
			if err != nil || w.Content.Workers() != c.workers || m.Run().String() != "102023" {
				t.Errorf("%d workers of run %q, %v", w.Content.Workers(), m.Run(), err)
			}
		})
	}
}

func TestAWorkflowTaskNamesItsRunOrATask(t *testing.T) {
	t.Parallel()
	for body, valid := range map[string]bool{
		`{"msg_type":"close_workflow_task","content":{"run_id":102023,"workload_id":null}}`:        true,
		`{"msg_type":"adjust_worker","run_id":"102023","content":{"core_count":null,"site":null}}`: true,
		`{"msg_type":"adjust_worker","content":{"transform_id":"7","core_count":3}}`:               true,
		`{"msg_type":"adjust_worker","content":{"core_count":3}}`:                                  false,
		`{"msg_type":"create_workflow_task","content":{"request_id":7,"workflow":{}}}`:             false,
		`{"msg_type":"created_workflow_task","run_id":"102023","content":{}}`:                      false,
		`{"msg_type":"adjust_worker","run_id":"102023","content":{"core_count":1.5}}`:              false,
	} {
		if _, err := message.Decode[message.WorkflowTask]([]byte(body)); (err == nil) != valid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestNobodyAsksForMoreWorkersThanThereCanBe(t *testing.T) {
	t.Parallel()
	m := message.RunImminentWorker{Content: message.RunImminentWorkerContent{NumWorkers: message.NewInt(1 << 62)}}
	if n := m.Workers(); n != message.MostWorkers {
		t.Errorf("%d workers", n)
	}
}

// The values of an announcement are what somebody has in his configuration: Python copies them as they are.
func TestAnAnnouncementIsReadHoweverItsNumbersAreWritten(t *testing.T) {
	t.Parallel()
	m, err := message.Decode[message.RunImminentWorker]([]byte(`{"msg_type":"run_imminent_worker","run_id":102023,"content":{"target_worker_count":"4","core_count":4.0,
		"num_ram_per_core":4000.5,"site":7,"slice_processing_time":"2.5","worker_rampup_time":null,"worker_rampdown_time":1}}`))
	c := m.Content
	if err != nil || m.Workers() != 4 || c.NumRAMPerCore.Float64() != 4000.5 || c.Site != "7" || c.SliceProcessingTime.Float64() != 2.5 || !c.WorkerRampupTime.IsZero() || c.WorkerRampdownTime.Float64() != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}
