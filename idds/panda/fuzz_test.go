package panda_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tfpilot/idds/panda"
	"tfpilot/internal/access"
	"tfpilot/internal/metainfo"
)

// FuzzRelay looks for a call that is not answered as the PanDA server answers.
func FuzzRelay(f *testing.F) {
	for _, s := range []string{
		`{"command_name":"get_metainfo+https://idds:443/idds","kwargs":"{\"name\": \"prompt_broker\"}","manager":true}`,
		`{"command_name":"create_workflow_task","kwargs":"{\"workflow\":{\"scope\":\"s\",\"name\":\"n\",\"content\":{\"run_id\":1}}}"}`,
		`{"command_name":"adjust_worker","args":"[1,null,\"3\",{\"core_count\":3}]","json_outputs":"True","manager":"1"}`,
		`{"command_name":"close_workflow_task","kwargs":{"request_id":1,"parameters":null}}`,
		`{"command_name":"send_messages","kwargs":"{\"request_id\":1,\"msgs\":[{}]}","manager":true}`,
		`command_name=get_messages&kwargs=%7B%22request_id%22%3A+1%7D&manager=True`,
		"\x1f\x8b\x08",
	} {
		f.Add(s, true)
	}
	broker := func(access.Principal) (metainfo.PromptBroker, error) { return metainfo.PromptBroker{}, nil }
	mux := http.NewServeMux()
	for _, r := range panda.New(panda.Config{Desk: nothing{}, Messages: nothing{}, Broker: broker, Namespace: namespace}).Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	f.Fuzz(func(t *testing.T, body string, old bool) {
		path := modern
		if old {
			path = legacy
		}
		for _, role := range []access.Role{access.Pilot, access.Operator} {
			req := httptest.NewRequestWithContext(access.WithPrincipal(t.Context(), access.Principal{Role: role}), http.MethodPost, path, strings.NewReader(body))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			text := w.Body.String()
			switch {
			case w.Code == http.StatusForbidden && (!old || strings.HasPrefix(text, "ERROR : ")):
			case w.Code != http.StatusOK || !json.Valid([]byte(text)):
				t.Errorf("%d %s", w.Code, text)
			}
		}
	})
}
