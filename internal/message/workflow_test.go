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
		invalid bool
	}{
		"as the transceiver sends it": {`{"msg_type":"create_workflow_task","run_id":"102023","created_at":"2026-01-18T14:36:03.194616+00:00","content":{"run_id":"102023",` +
			`"workflow":{"scope":"EIC_2026","name":"n","content":{"run_id":"102023","core_count":30,"target_worker_count":15,"panda_attributes":{"vo":"wlcg"}}}}}`, 15, false},
		"by its cores":              {`{"msg_type":"create_workflow_task","run_id":102023,"content":{"workflow":{"content":{"core_count":"30"}}}}`, 30, false},
		"the run in the content":    {`{"msg_type":"close_workflow_task","content":{"run_id":102023,"workload_id":null}}`, 1, false},
		"an adjustment without any": {`{"msg_type":"adjust_worker","run_id":"102023","content":{"core_count":null,"site":null}}`, 1, false},
		"no run":                    {`{"msg_type":"adjust_worker","content":{"core_count":3}}`, 1, true},
		"another message":           {`{"msg_type":"created_workflow_task","run_id":"102023","content":{}}`, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := message.Decode[message.WorkflowTask]([]byte(c.body))
			if (err != nil) != c.invalid || m.Workers() != c.workers || !c.invalid && m.Run().String() != "102023" {
				t.Errorf("%d workers of run %q, %v", m.Workers(), m.Run(), err)
			}
		})
	}
}
