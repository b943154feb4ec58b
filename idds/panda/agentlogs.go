package panda

import (
	"cmp"
	"encoding/json"
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/frontdoor"
	"tfpilot/internal/message"
	"tfpilot/internal/recent"
)

// agentLine is a line of the log of the production system's agents, as they send it to their monitor.
type agentLine struct {
	AppName      message.Text            `json:"app_name"`
	InstanceName message.Text            `json:"instance_name"`
	LevelName    message.Text            `json:"levelname"`
	Message      message.Text            `json:"message"`
	Module       message.Text            `json:"module"`
	FuncName     message.Text            `json:"funcname"`
	Line         message.Text            `json:"lineno"`
	Extra        map[string]message.Text `json:"extra_data"`
}

// AgentLogs takes the lines of the production system's agents where they expect their monitor. They come without a token: it is mounted
// only where that is wanted, and the lines are of one namespace.
func AgentLogs(memory *recent.Memory, namespace string) Route {
	return Route{Pattern: "POST /api/logs/", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in agentLine
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			frontdoor.Problem(w, http.StatusBadRequest, "no line of a log: "+err.Error())
			return
		}
		// Its time is local, without a zone: that at which it came says more.
		line := document.LogRecord{
			Component: string(cmp.Or(in.InstanceName, in.AppName)), Role: string(in.AppName), Level: string(in.LevelName), Message: string(in.Message),
			RunID: string(in.Extra["run_id"]), Attrs: map[string]string{},
		}
		for key, value := range in.Extra {
			if key != "run_id" {
				line.Attrs[key] = string(value)
			}
		}
		for key, value := range map[string]message.Text{"module": in.Module, "funcname": in.FuncName, "lineno": in.Line} {
			if value != "" {
				line.Attrs[key] = string(value)
			}
		}
		if memory.AddLogs(namespace, line) == 0 {
			w.Header().Set("Retry-After", "1")
			frontdoor.Problem(w, http.StatusTooManyRequests, "too many lines; wait a second")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("{}\n")) // or the client is gone
	})}
}
