package message_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/message"
)

// FuzzDecode looks for a message of any kind that is accepted, and then is not the same when it is passed on.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"slice.body.json", "slice_result.body.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{
		`{"msg_type":"slice","run_id":1,"content":{"req_id":"a","start":"1","end":2,"x":[{}]}}`,
		`{"content":null}`,
		`{"msg_type":"slice_result","run_id":"1","content":{"state":"failed","result":{"state":false,"result":null,"error":"x"}}}`,
		`{"msg_type":"run_imminent_worker","run_id":7,"content":{"target_worker_count":"3"}}`,
		`{"msg_type":"create_workflow_task","run_id":"7","content":{"workflow":{"scope":"s","name":"n","content":{"run_id":7,"core_count":"3","site":null}}}}`,
		`{"msg_type":"create_workflow_task","run_id":"7","content":{"scope":"s","name":1,"content":null}}`,
		`{"msg_type":"adjust_worker","content":{"request_id":"1","transform_id":null,"core_count":3.0,"memory_per_core":1e3}}`,
		`{"msg_type":"end_run","run_id":"7","content":{"total_slices":12}}`,
		`{"msg_type":"stop_transformer","run_id":7.0,"content":{}}`,
		`{"msg_type":"run_imminent","run_id":"7","execution_id":"x","timestamp":"2026-01-18T09:36:02.100001"}`,
		`{"msg_type":"stf_gen","run_id":"7","filename":"swf.7.000001.stf","sequence":1,"start":"20250914185722420185"}`,
		`{"msg_type":"stf_ready","run_id":"7","filename":"swf.7.000001.stf","size_bytes":null}`,
		`{"msg_type":"tf_file_registered","run_id":"7","tf_filename":"a_tf_001.tf","stf_filename":"a.stf","tf_first":0,"tf_last":9,"tf_count":10}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		samePassedOn[message.Slice](t, b)
		samePassedOn[message.SliceResult](t, b)
		samePassedOn[message.RunMessage](t, b)
		samePassedOn[message.STFGen](t, b)
		samePassedOn[message.STFReady](t, b)
		samePassedOn[message.TFFileRegistered](t, b)
		samePassedOn[message.RunImminentWorker](t, b)
		samePassedOn[message.EndRun](t, b)
		samePassedOn[message.StopTransformer](t, b)
		samePassedOn[message.WorkflowTask](t, b)
	})
}

// samePassedOn decodes, encodes, and does so again: what came first out of it must not change any more.
func samePassedOn[T interface{ Validate() error }](t *testing.T, b []byte) {
	t.Helper()
	m, err := message.Decode[T](b)
	if err != nil {
		return
	}
	one, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("a valid %T does not encode: %v\n%q", m, err, b)
	}
	again, err := message.Decode[T](one)
	if err != nil {
		t.Fatalf("a valid %T is not when it is passed on: %v\n%q\n%q", m, err, b, one)
	}
	two, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(anything(t, one), anything(t, two)); diff != "" { // not its bytes: what is no text is written in two ways
		t.Fatalf("%T changes when it is passed on: %q\n%s", m, b, diff)
	}
	before, err1 := message.Peek(b)
	after, err2 := message.Peek(one)
	if err1 == nil && err2 == nil && before.RunID != after.RunID {
		t.Fatalf("run %#v became %#v", before.RunID, after.RunID)
	}
}

// anything is a document as it is, with every number as it stands.
func anything(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

// FuzzParseTime looks for a time that is read, and reads differently in our own format.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"2026-01-18T09:36:03.194616", "2026-01-18T14:36:03.194616+00:00", "2026-01-18T14:36:03.194Z", "Sun, 18 Jan 2026 14:36:03 UTC",
		"1784900000.123", "20250914185722", "20250914185722420185", "1768746963195", "2026-01-18 09:36:03", "1e9", "-1", "NaN", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := message.ParseTime(s)
		if err != nil || at.Year() < 0 || at.Year() > 9999 {
			return
		}
		again, err := message.ParseTime(message.At(at).Text())
		if err != nil || !again.Equal(at.Truncate(time.Microsecond)) {
			t.Errorf("%q is %s, which reads as %s, %v", s, at, again, err)
		}
	})
}
