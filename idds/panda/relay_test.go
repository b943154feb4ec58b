package panda_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
)

const (
	legacy = "/server/panda/relay_idds_command"
	modern = "/api/v1/idds/relay_idds_command"
)

// packed is gzip of a text.
func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write([]byte(text))
	must(t, err)
	must(t, z.Close())
	return out.String()
}

// relayed makes a call as a role.
func relayed(t *testing.T, url string, role access.Role, kind, body string) (status int, document any, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	must(t, err)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Origin", "EIC")
	if token := secrets[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	_ = json.Unmarshal(b, &document)
	return resp.StatusCode, document, string(b)
}

// shape is a document with its values replaced by their kinds, and its keys.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		keys := []string{}
		for k := range v {
			if k != "ejfat" { // newer than the recording
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		return keys
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, shape(e))
		}
		return out
	default:
		return v
	}
}

func recordedCall(t *testing.T) (headers http.Header, path, document string) {
	t.Helper()
	b, err := os.ReadFile("testdata/relay_request.txt")
	must(t, err)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	must(t, err)
	_, document, ok := strings.Cut(strings.ReplaceAll(string(b), "\r", ""), "\n\n")
	if !ok {
		t.Fatal("no body in the recording")
	}
	return r.Header, r.URL.Path, document
}

func TestARecordedCallOfTheProductionWorkerGetsItsBrokers(t *testing.T) {
	t.Parallel()
	base := newRig(t, ledger.RunImminent).url
	headers, path, document := recordedCall(t)
	if path != legacy {
		t.Fatalf("recorded for %s", path)
	}
	recorded, err := os.ReadFile("testdata/relay_response.json")
	must(t, err)
	var want any
	must(t, json.Unmarshal(recorded, &want))
	for _, body := range []string{packed(t, document), document, packed(t, strings.Replace(document, "get_metainfo", "get_metainfo+https://idds:443/idds", 1))} {
		status, got, text := relayed(t, base+legacy, access.Pilot, headers.Get("Content-Type"), body)
		if status != http.StatusOK || !reflect.DeepEqual(shape(got), shape(want)) {
			t.Errorf("%d: %s", status, text)
		}
		if !strings.Contains(text, `"brokers":"broker:61613"`) {
			t.Errorf("%s", text)
		}
	}
	form := "command_name=get_metainfo&manager=True&kwargs=%7B%22name%22%3A+%22prompt_broker%22%7D"
	for _, kind := range []string{"application/x-www-form-urlencoded", ""} { // the client that uses httpx names none
		if status, got, text := relayed(t, base+legacy, access.Pilot, kind, form); status != http.StatusOK || !reflect.DeepEqual(shape(got), shape(want)) {
			t.Errorf("%d: %s", status, text)
		}
	}
	if status, _, text := relayed(t, base+modern, access.Pilot, "application/json", packed(t, document)); status != http.StatusOK ||
		!strings.Contains(text, `"success":true,"message":"","data":[true,{"ejfat":{},"result_broker"`) {
		t.Errorf("%d: %s", status, text)
	}
}

func TestARelayedCallNeedsATokenOfTheCommandsRole(t *testing.T) {
	t.Parallel()
	base := newRig(t, ledger.WorkflowTask).url
	_, _, document := recordedCall(t)
	create := `{"command_name":"create_workflow_task","manager":true,"kwargs":"{}"}`
	for _, c := range []struct {
		document string
		role     access.Role
	}{{document, access.Pilot}, {create, access.Operator}} {
		for _, role := range append(access.Roles(), "") {
			want := http.StatusForbidden
			if role == c.role {
				want = http.StatusOK
			}
			for _, path := range []string{legacy, modern} {
				status, _, text := relayed(t, base+path, role, "application/json", packed(t, c.document))
				if status != want || c.role == access.Pilot && (want == http.StatusForbidden) == strings.Contains(text, "broker:61613") {
					t.Errorf("%q %s: %d %s", role, path, status, text)
				}
			}
		}
	}
}

func TestABadRelayedCallIsAnsweredAsPanDADoes(t *testing.T) {
	t.Parallel()
	base := newRig(t, ledger.WorkflowTask).url
	for body, want := range map[string]string{
		``:                       `[false,"the call is no JSON object"]`,
		`[]`:                     `[false,"the call is no JSON object"]`,
		"\x1f\x8bno gzip at all": `[false,"unpacking the call: gzip: invalid header"]`,
		`{"command_name":"submit","kwargs":"{}"}`:                                           `[false,"\"submit\" is not a command that this idds has"]`,
		`{"command_name":"get_metainfo","kwargs":"{\"name\":\"nonsense\"}","manager":true}`: `[true,[true,{}]]`,
		`{"command_name":"get_metainfo","kwargs":"x"}`:                                      `[false,"kwargs is no JSON object in a text"]`,
		`{"command_name":"get_metainfo","args":"{}"}`:                                       `[false,"args is no JSON list in a text"]`,
		`{"command_name":"ping","args":"[1]"}`:                                              `[false,"failed to execute command with ping() takes 0 arguments but 1 were given"]`,
		`{"command_name":"ping","kwargs":"{\"x\":1}"}`:                                      `[false,"failed to execute command with ping() got an unexpected keyword argument 'x'"]`,
		packed(t, `{"command_name":"`+strings.Repeat("x", 2<<20)+`","kwargs":""}`):          `[false,"the call is longer than 1048576 bytes"]`,
		`{"command_name":"ping"}`:                                                           `[true,{"Status":"OK"}]`,
		`{"command_name":"get_messages","manager":true}`:                                    `[true,[-1,"Both request_id and workload_id are None. One of them should not be None"]]`,
		`{"command_name":"get_messages","manager":true,"kwargs":"{\"request_id\":7}"}`:      `[true,[true,[]]]`,
		`{"command_name":"get_messages","manager":true,"kwargs":"{\"request_id\":\"x\"}"}`:  `[true,[false,"request_id is no number"]]`,
		`{"command_name":"get_messages","kwargs":"{\"request_id\":-7}"}`:                    `[false,"failed to execute command with request_id is no number"]`,
		`{"command_name":"get_messages","manager":true,"kwargs":"{\"workload_id\":7}"}`:     `[true,[false,"request_id should not be None"]]`,
	} {
		status, _, text := relayed(t, base+legacy, access.Pilot, "application/json", body)
		if status != http.StatusOK || strings.TrimSpace(text) != want {
			t.Errorf("%.80q: %d %s", body, status, text)
		}
	}
	if _, _, text := relayed(t, base+modern, access.Pilot, "application/json", "{"); !strings.HasPrefix(text, `{"success":false,"message":"the call is no JSON object"`) {
		t.Error(text)
	}
}

func TestTheCommandsOfTheTransceiverAreRelayed(t *testing.T) {
	t.Parallel()
	base := newRig(t, ledger.WorkflowTask).url
	quoted := func(v string) string {
		b, err := json.Marshal(v)
		must(t, err)
		return string(b)
	}
	const ids = `{"input_coll_id":1,"output_coll_id":2,"processing_id":1,"request_id":1,"transform_id":1,"workload_id":1}`
	for _, c := range []struct{ name, more, kwargs, want string }{
		{"create_workflow_task", `,"manager":true`, `{"workflow":` + asked + `}`, `[true,` + ids + `]`},
		{"create_workflow_task", ``, `{"workflow":` + asked + `}`, `[true,` + ids + `]`},
		{"create_workflow_task", `,"manager":true,"json_outputs":true`, `{"workflow":` + asked + `}`, `[true,{"data":` + ids + `,"error":null,"status":0}]`},
		{"create_workflow_task", `,"manager":true`, `{"workflow":{"name":"n"}}`, `[true,[false,"run_id missing"]]`},
		{"create_workflow_task", ``, `{"workflow":null}`, `[false,"failed to execute command with 'workflow' key is required in the request body"]`},
		{
			"adjust_worker", `,"manager":true`, `{"request_id":1,"transform_id":1,"workload_id":1,"parameters":{"core_count":45,"memory_per_core":null,"site":null,"content":{"run_id":"100001"}}}`,
			`[true,{"status":0,"message":"adjusted successfully"}]`,
		},
		{"adjust_worker", `,"manager":true`, `{"request_id":null,"transform_id":1,"workload_id":null,"parameters":{}}`, `[true,[-1,"Both request_id and workload_id are None. One of them should not be None"]]`},
		{"adjust_worker", `,"manager":true,"json_outputs":true`, `{"request_id":9,"transform_id":1,"workload_id":null,"parameters":{}}`, ``},
		{"close_workflow_task", `,"manager":true`, `{"request_id":null,"parameters":{}}`, `[true,[-1,"request_id is None"]]`},
		{"send_messages", `,"manager":true`, `{"request_id":1,"msgs":[{"a":1},{"a":2}]}`, `[true,[true,null]]`},
		{"get_messages", `,"manager":true`, `{"request_id":1}`, `[true,[true,[{"a":1},{"a":2}]]]`},
		{"close_workflow_task", `,"manager":true`, `{"request_id":1,"parameters":{"run_id":"100001","transform_id":1,"workload_id":1}}`, `[true,{"status":0,"message":"closed successfully"}]`},
	} {
		body := `{"command_name":"` + c.name + `+https://idds.example.org:443/idds"` + c.more + `,"kwargs":` + quoted(c.kwargs) + `}`
		status, _, text := relayed(t, base+legacy, access.Operator, "application/json", packed(t, body))
		if c.want == "" {
			if !strings.Contains(text, `"ExceptionClass":"NoObject"`) || !strings.Contains(text, `"status":404`) {
				t.Error(text)
			}
			continue
		}
		if status != http.StatusOK || strings.TrimSpace(text) != c.want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
}
