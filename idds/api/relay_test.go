package api_test

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
func relayed(t *testing.T, url string, role ledger.Role, kind, body string) (status int, document any, text string) {
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
			keys = append(keys, k)
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
	base := server(t)
	headers, path, document := recordedCall(t)
	if path != legacy {
		t.Fatalf("recorded for %s", path)
	}
	recorded, err := os.ReadFile("testdata/relay_response.json")
	must(t, err)
	var want any
	must(t, json.Unmarshal(recorded, &want))
	for _, body := range []string{packed(t, document), document, packed(t, strings.Replace(document, "get_metainfo", "get_metainfo+https://idds:443/idds", 1))} {
		status, got, text := relayed(t, base+legacy, ledger.RolePilot, headers.Get("Content-Type"), body)
		if status != http.StatusOK || !reflect.DeepEqual(shape(got), shape(want)) {
			t.Errorf("%d: %s", status, text)
		}
		if !strings.Contains(text, `"brokers":"broker:61613"`) {
			t.Errorf("%s", text)
		}
	}
	form := "command_name=get_metainfo&manager=True&kwargs=%7B%22name%22%3A+%22prompt_broker%22%7D"
	for _, kind := range []string{"application/x-www-form-urlencoded", ""} { // the client that uses httpx names none
		if status, got, text := relayed(t, base+legacy, ledger.RolePilot, kind, form); status != http.StatusOK || !reflect.DeepEqual(shape(got), shape(want)) {
			t.Errorf("%d: %s", status, text)
		}
	}
	if status, _, text := relayed(t, base+modern, ledger.RolePilot, "application/json", packed(t, document)); status != http.StatusOK ||
		!strings.Contains(text, `"success":true,"message":"","data":[true,{"transformer_broker"`) {
		t.Errorf("%d: %s", status, text)
	}
}

func TestARelayedCallNeedsAPilotsToken(t *testing.T) {
	t.Parallel()
	base := server(t)
	_, _, document := recordedCall(t)
	for role, want := range map[ledger.Role]int{"": 403, ledger.RolePilot: 200, ledger.RoleOperator: 403, ledger.RoleHarvester: 403, ledger.RoleViewer: 403} {
		for _, path := range []string{legacy, modern} {
			status, _, text := relayed(t, base+path, role, "application/json", packed(t, document))
			if status != want || (want == 403) == strings.Contains(text, "broker:61613") {
				t.Errorf("%q %s: %d %s", role, path, status, text)
			}
		}
	}
}

func TestABadRelayedCallIsAnsweredAsIDDSDoes(t *testing.T) {
	t.Parallel()
	base := server(t)
	for body, want := range map[string]string{
		``:                       `[true,[false,"the call is no JSON object"]]`,
		`[]`:                     `[true,[false,"the call is no JSON object"]]`,
		"\x1f\x8bno gzip at all": `[true,[false,"unpacking the call: gzip: invalid header"]]`,
		`{"command_name":"create_workflow_task","kwargs":"{}"}`:                    `[true,[false,"this idds relays get_metainfo and ping, not \"create_workflow_task\""]]`,
		`{"command_name":"get_metainfo","kwargs":"{\"name\":\"asyncresult\"}"}`:    `[true,[false,"get_metainfo knows prompt_broker, not \"asyncresult\""]]`,
		`{"command_name":"get_metainfo"}`:                                          `[true,[false,"kwargs is no JSON object in a text"]]`,
		packed(t, `{"command_name":"`+strings.Repeat("x", 1<<20)+`","kwargs":""}`): `[true,[false,"the call is no JSON object"]]`,
		`{"command_name":"ping"}`:                                                  `[true,[true,{"Status":"OK"}]]`,
	} {
		status, _, text := relayed(t, base+legacy, ledger.RolePilot, "application/json", body)
		if status != http.StatusOK || strings.TrimSpace(text) != want {
			t.Errorf("%.60q: %d %s", body, status, text)
		}
	}
	if _, _, text := relayed(t, base+modern, ledger.RolePilot, "application/json", "{"); !strings.HasPrefix(text, `{"success":false,"message":"the call is no JSON object"`) {
		t.Error(text)
	}
}
