package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tfpilot/internal/access"
)

// A report that is wrong in many ways must not come back once for each of them: its answer would be larger than what was sent.
func TestAProblemRepeatsLittleOfTheRequest(t *testing.T) {
	t.Parallel()
	base := server(t)
	long := strings.Repeat("ä", 500_000)
	for path, body := range map[string]string{
		"/v1/workers":    `{"x":"` + long + `"}`,
		"/v1/components": `{"name":"` + long + `","role":"pilot","state":"READY"}`,
		"/v1/logs":       `{"records":[` + strings.Repeat(`{"x":"y"},`, 999) + `{}]}`,
	} {
		status, answer := call(t, http.MethodPost, base+path, access.Pilot, body)
		var problem struct {
			Errors []struct{ Message, Location string }
		}
		if err := json.Unmarshal(answer, &problem); err != nil || status != http.StatusUnprocessableEntity || len(answer) > 20_000 {
			t.Errorf("%s: status %d, %d bytes, %v", path, status, len(answer), err)
		}
		if len(problem.Errors) == 0 || problem.Errors[0].Message == "" || !strings.HasPrefix(problem.Errors[0].Location, "body") {
			t.Errorf("%s: %+v", path, problem)
		}
	}
	if _, answer := call(t, http.MethodPost, base+"/v1/workers", access.Pilot, `{"pilot_id":"p","pid":"seven"}`); !strings.Contains(string(answer), `"value":"seven"`) {
		t.Errorf("a short value is not shown: %s", answer)
	}
}
