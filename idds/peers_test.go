package idds_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// seen is a message of the production system, as its log shows it.
func seen(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	return string(b)
}

const seenRun = "102023"

// pythonSlice is slice n as the Python fast-processing agent makes it: no attempt, no size, a naive time.
func pythonSlice(n int) string {
	return fmt.Sprintf(`{"msg_type": "slice", "run_id": "100001", "created_at": "2026-01-18T14:36:03.%06d", "sender": "fast_processing-agent-user-12", `+
		`"namespace": "test", "content": {"run_id": "100001", "execution_id": "stf_datataking-user-0079", "req_id": "req-%d", `+
		`"filename": "swf.100001.000001.stf", "tf_filename": "swf.100001.000001_tf_001_slice_%03d.tf", "slice_id": %d, `+
		`"start": %d, "end": %d, "tf_count": 2, "state": "queued", "substate": "new"}}`, 100000+n, n, n, n, 2*n, 2*n+1)
}

// pythonEnd is its end of a run: what the runner said, and no number of slices.
const pythonEnd = `{"msg_type": "end_run", "run_id": "100001", "created_at": "2026-01-18T14:40:03.194616", "sender": "fast_processing-agent-user-12", ` +
	`"namespace": "test", "content": {"msg_type": "end_run", "namespace": "test", "execution_id": "stf_datataking-user-0079", "run_id": "100001", ` +
	`"timestamp": "2026-01-18T09:40:03.194616", "simulation_tick": 75.2, "sender": "daq_simulator-agent-user-450", "total_stf_files": 10}}`

// pythonFailure is what the Python worker sends of a slice that failed: nothing of the slice but when it was asked for.
func pythonFailure(runID, requestedAt string) string {
	return fmt.Sprintf(`{"msg_type": "slice_result", "run_id": %s, "created_at": "2026-01-18T14:38:02.656900", "content": {"requested_at": %q, `+
		`"processing_start_at": "2026-01-18T14:38:02.655900", "processed_at": "2026-01-18T14:38:02.656800", "state": "failed", "hostname": "spool1493", `+
		`"panda_server_url": null, "panda_task_id": null, "panda_id": null, "harvester_id": null, `+
		`"result": {"state": false, "result": null, "error": "eicrecon ended with 1"}}}`, runID, requestedAt)
}

// pythonDone is its good result: a copy of the slice's content, with what was made of it.
func pythonDone(t *testing.T, slice string) string {
	t.Helper()
	m, err := message.Decode[message.Slice]([]byte(slice))
	must(t, err)
	_, content, ok := strings.Cut(slice, `"content": `)
	if !ok {
		_, content, _ = strings.Cut(slice, `"content":`)
	}
	content = strings.TrimSuffix(strings.TrimSuffix(content, "}"), "}") + `, "processed": true, "state": "processed", "actual_processing_time": 30.01}`
	return fmt.Sprintf(`{"msg_type": "slice_result", "run_id": 100001, "created_at": "2026-01-18T14:38:02.656900", "content": {"requested_at": %q, `+
		`"processing_start_at": "2026-01-18T14:38:02.655900", "processed_at": "2026-01-18T14:38:02.656", "state": "done", "hostname": "spool1493", `+
		`"panda_task_id": "33708", "panda_id": "119830", "harvester_id": "91464", "result": {"state": true, "result": %s, "error": null}}}`,
		m.CreatedAt.Text(), content)
}

func TestASliceAndItsResultAsTheyWereSeenAreCounted(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][2]string{
		"slice first":  {message.TopicSlices + " slice.body.json", message.TopicResults + " slice_result.body.json"},
		"result first": {message.TopicResults + " slice_result.body.json", message.TopicSlices + " slice.body.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, idds.Config{QuietEnd: 50 * time.Millisecond})
			for _, step := range order {
				destination, file, _ := strings.Cut(step, " ")
				r.publishBody(destination, []byte(seen(t, file)))
				r.awaitRun(seenRun, file, func(c document.RunCheck) bool { return c.Slices.Published == 1 })
			}
			r.endOf(seenRun, -1)
			c := r.awaitRun(seenRun, "the end", closed)
			if c.Slices != (document.SliceCounts{Published: 1, Done: 1}) || !c.OK {
				t.Errorf("%+v, %v", c.Slices, c.Problems)
			}
			list, err := r.store.Slices(soon(t), ledger.Filter{Run: seenRun})
			must(t, err)
			want := time.Date(2026, 1, 18, 14, 36, 3, 194616000, time.UTC)
			if s := list[0]; s.Key.Identity != "2837c040-d0c9-4236-a645-4d838711c5e4" || s.Attempts[0].Hostname != "spool1493.sdcc.bnl.gov" || !s.CreatedAt.Equal(want) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPeersResultsAreMatchedInEveryShape(t *testing.T) {
	t.Parallel()
	slice := pythonSlice(1)
	renamed := strings.NewReplacer(`"req_id": "req-1", `, "").Replace(slice) // no req_id: file and number stand in
	for name, c := range map[string]struct {
		slice, result string
		want          document.SliceCounts
	}{
		"a failure of nothing, run as text":   {slice, pythonFailure(`"100001"`, "2026-01-18T14:36:03.100001"), document.SliceCounts{Published: 1, Failed: 1}},
		"a failure of nothing, run as number": {slice, pythonFailure(`100001`, "2026-01-18T14:36:03.100001"), document.SliceCounts{Published: 1, Failed: 1}},
		"the time with a zone":                {slice, pythonFailure(`100001`, "2026-01-18T14:36:03.100001+00:00"), document.SliceCounts{Published: 1, Failed: 1}},
		"a good one, run as number":           {slice, pythonDone(t, slice), document.SliceCounts{Published: 1, Done: 1}},
		"without req_id":                      {renamed, pythonDone(t, renamed), document.SliceCounts{Published: 1, Done: 1}},
		"a time that no slice has":            {slice, pythonFailure(`100001`, "2026-01-18T14:36:04.000000"), document.SliceCounts{Published: 1, Outstanding: 1, Unmatched: 1}},
		"no time at all":                      {slice, pythonFailure(`100001`, ""), document.SliceCounts{Published: 1, Outstanding: 1, Unmatched: 1}},
		"the older worker's time": {
			strings.Replace(slice, "2026-01-18T14:36:03.100001", "Sun, 18 Jan 2026 14:36:03 UTC", 1),
			pythonFailure(`100001`, "Sun, 18 Jan 2026 14:36:03 UTC"),
			document.SliceCounts{Published: 1, Failed: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, idds.Config{MaxAttempts: 1})
			r.publishBody(message.TopicSlices, []byte(c.slice))
			r.await("the slice", func(c document.RunCheck) bool { return c.Slices.Published == 1 })
			r.publishBody(message.TopicResults, []byte(c.result))
			if got := r.await("the result", func(got document.RunCheck) bool { return got.Slices == c.want }); got.OK != (c.want.Unmatched == 0) {
				t.Errorf("%v", got.Problems)
			}
		})
	}
}

func TestAFailureThatFitsTwoSlicesIsNobodys(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	twin := strings.Replace(pythonSlice(2), "14:36:03.100002", "14:36:03.100001", 1)
	r.publishBody(message.TopicSlices, []byte(pythonSlice(1)))
	r.publishBody(message.TopicSlices, []byte(twin))
	r.await("the slices", func(c document.RunCheck) bool { return c.Slices.Published == 2 })
	r.publishBody(message.TopicResults, []byte(pythonFailure(`"100001"`, "2026-01-18T14:36:03.100001")))
	r.await("it to be counted", func(c document.RunCheck) bool {
		return c.Slices.Unmatched == 1 && c.Slices.Outstanding == 2 && c.Places[document.PlaceQueue] == 2
	})
}

// The Python agent produces, Python workers answer: it sends nothing again, so idds does, and its run is closed without a number.
func TestARunOfThePythonAgentIsRetriedAndCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{QuietEnd: 100 * time.Millisecond})
	w := r.workers()
	const n = 6
	for i := range n {
		r.publishBody(message.TopicSlices, []byte(pythonSlice(i)))
	}
	r.await("the slices", func(c document.RunCheck) bool { return c.Slices.Published == n }) // or their failures fit none
	r.publishBody(message.TopicWorkers, []byte(pythonEnd))
	retried := 0
	for range n + n/2 { // every other one fails at first
		d, err := w.Next(soon(t))
		must(t, err)
		m, err := message.Decode[message.Slice](d.Body)
		must(t, err)
		if m.Content.AttemptNumber() == 1 && m.Content.SliceID.Int64()%2 == 0 {
			r.publishBody(message.TopicResults, []byte(pythonFailure(strconv.Quote(run), m.CreatedAt.Text())))
		} else {
			r.publishBody(message.TopicResults, []byte(pythonDone(t, string(d.Body))))
		}
		if m.Content.AttemptNumber() == 2 {
			retried++
			if m.Content.ExecutionID != "stf_datataking-user-0079" || m.Content.State != "queued" {
				t.Errorf("sent again as %s", d.Body)
			}
		}
		must(t, d.Ack(soon(t)))
	}
	c := r.await("the end", closed)
	if c.Slices != (document.SliceCounts{Published: n, Done: n, Retried: n / 2}) || retried != n/2 || !c.OK || c.TotalSlices != nil {
		t.Errorf("%+v, %v", c.Slices, c.Problems)
	}
	if list, err := r.store.Actors(soon(t), namespace); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDeadLettersOfOthersStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	dead := func(headers ...string) {
		must(t, r.link.Publish(soon(t), broker.Out{Destination: "DLQ", Body: []byte(pythonSlice(1)), Headers: headers}))
	}
	dead("namespace", "theirs", message.HeaderOriginalQueue, message.QueueSlicesWorkers)
	dead("namespace", namespace, message.HeaderOriginalQueue, message.QueueResultsIDDS)
	dead("namespace", namespace, message.HeaderOriginalQueue, "/queue/theirs")
	dead("namespace", namespace)
	dead(message.HeaderOriginalQueue, message.QueueSlicesWorkers)
	dead("namespace", namespace, message.HeaderOriginalQueue, message.QueueSlicesWorkers) // ours
	r.await("ours", func(c document.RunCheck) bool {
		return c.Places[document.PlaceDeadLetter] == 1 || c.Slices.Retried == 1
	})
	r.kill()
	for _, q := range r.broker.Stats() {
		if q.Name == "DLQ" && (q.Depth != 5 || q.InFlight != 0 || q.Dead != 0) {
			t.Errorf("%+v", q)
		}
	}
}
