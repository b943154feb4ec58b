package panda_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/panda"
	"tfpilot/idds/sqlite"
	"tfpilot/idds/tokens"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/testkit"
	"tfpilot/internal/workflow"
)

var must = testkit.Must

const namespace = "test"

// asked is the workflow of a task, as the transceiver makes it.
const asked = `{"scope":"EIC_2026","name":"EIC_2026_fastproc_BNL-OSG_20260118_100001","username":"EIC","cloud":"US","content":{"run_id":"100001",
	"created_at":"2026-01-18T14:36:03.194616+00:00","core_count":30,"target_worker_count":30,"memory_per_core":4000.0,"site":"BNL-OSG","panda_attributes":{"vo":"wlcg"}}}`

// secrets are tokens by role; a role without one asks without.
var secrets = map[access.Role]string{
	access.Pilot: "pilot-token-0123456", access.Harvester: "harvester-token-0123", access.Operator: "operator-token-0123", access.Viewer: "viewer-token-0123456",
}

// rig is the whole interface over HTTP, and a token of an operator of another namespace.
type rig struct {
	url     string
	store   ledger.Store
	service *idds.Service
	theirs  string
}

func newRig(t *testing.T, demandFrom string) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run: nothing here needs the broker
	must(t, err)
	service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace, Duties: ledger.Duties{DemandFrom: demandFrom}})
	must(t, err)
	file := map[string]access.Role{}
	for role, token := range secrets {
		file[token] = role
	}
	book, err := tokens.Open(t.Context(), store, file, time.Now)
	must(t, err)
	_, theirs, err := book.Create(t.Context(), access.Token{Name: "theirs", Role: access.Operator, Namespace: "theirs"}, 0, access.AuditLine{})
	must(t, err)
	entry := func(destination string) *metainfo.BrokerEntry {
		return &metainfo.BrokerEntry{Destination: destination, Brokers: []string{"broker:61613"}, Username: "u", Password: "p"}
	}
	cfg := api.Config{Tokens: book, Namespace: namespace, Broker: map[string]metainfo.PromptBroker{namespace: {
		TransformerBroker: entry(message.QueueSlicesWorkers), TransformerBroadcastBroker: entry(message.TopicTransformer), ResultBroker: entry(message.TopicResults),
	}}}
	for _, r := range panda.New(panda.Config{Desk: service, Messages: store, Broker: cfg.BrokerFor, Namespace: namespace}).Routes() {
		cfg.Mounts = append(cfg.Mounts, api.Mount(r))
	}
	srv := httptest.NewServer(panda.Dialect(api.Handler(service, store, cfg)))
	t.Cleanup(srv.Close)
	return &rig{srv.URL, store, service, theirs}
}

// answer is that of a request.
type answer struct {
	status int
	header http.Header
	text   string
}

// ask makes a request as the client of iDDS does.
func (r *rig) ask(t *testing.T, method, path, token, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("X-IDDS-Auth-Type", "oidc")
	req.Header.Set("X-IDDS-Auth-VO", "EIC")
	if token != "" {
		req.Header.Set("X-IDDS-Auth-Token", token)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// wants wants a status and, of a refusal, the exception and words of it, with nothing in the body.
func (a answer) wants(t *testing.T, status int, class, words string) {
	t.Helper()
	if a.status != status || a.header.Get("ExceptionClass") != class || !strings.Contains(a.header.Get("ExceptionMessage"), words) || class != "" && a.text != "" {
		t.Errorf("%d %v %s, want %d %s %s", a.status, a.header, a.text, status, class, words)
	}
	if said := a.header.Get("ExceptionMessage"); said != "" && status != http.StatusUnauthorized && class != "IDDSException" {
		var m struct{ Msg string }
		if err := json.Unmarshal([]byte(said), &m); err != nil || m.Msg == "" {
			t.Errorf("%q: %v", said, err)
		}
	}
}

// nothing is a service on which nothing becomes of a request.
type nothing struct{}

func (nothing) Task(context.Context, message.WorkflowTask, workflow.Asker) (workflow.Answer, error) {
	return workflow.Answer{Fault: &workflow.Fault{Kind: workflow.Conflict, Text: "no"}}, nil
}

func (nothing) Leave(context.Context, []ledger.TaskMessage, workflow.Asker) (*workflow.Fault, error) {
	return &workflow.Fault{Kind: workflow.NoObject, Text: "no"}, nil
}

func (nothing) TaskMessages(context.Context, string, int64) ([]ledger.TaskMessage, error) {
	return nil, errors.New("on purpose")
}
