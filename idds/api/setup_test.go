package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/live"
	"tfpilot/idds/record"
	"tfpilot/idds/roothist"
	"tfpilot/idds/sqlite"
	"tfpilot/idds/tokens"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/commits"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/recent"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

const (
	namespace = "test"
	run       = "100001"
)

// secrets are tokens by role; a role without one asks without.
var secrets = map[access.Role]string{
	access.Pilot: "pilot-token-0123456", access.Harvester: "harvester-token-0123", access.Operator: "operator-token-0123", access.Viewer: "viewer-token-0123456",
}

// server is the whole interface over HTTP on a store with one run of 12 slices, of which 3 are done and 1 has failed.
func server(t *testing.T) string {
	t.Helper()
	url, _ := serverAndStore(t)
	return url
}

func serverAndStore(t *testing.T) (string, ledger.Store) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	must(t, store.Update(t.Context(), fill))
	return serverOn(t, store, api.Config{}), store
}

// serverOn is the interface on a store, with tokens, and a broker for one namespace.
func serverOn(t *testing.T, store ledger.Store, cfg api.Config) string {
	t.Helper()
	return serverWithin(t, store, cfg, 0)
}

// serverWithin is the same with a limit on how long a request and its answer may take; none when 0.
func serverWithin(t *testing.T, store ledger.Store, cfg api.Config, limit time.Duration) string {
	t.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run: nothing here needs the broker
	must(t, err)
	var feed *live.Feed
	store = commits.Watch(store, func(c commits.Commit) {
		if feed != nil { // which nothing is told before the server listens
			feed.Hear(c)
		}
	})
	service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	file := map[string]access.Role{}
	for role, token := range secrets {
		file[token] = role
	}
	cfg.Tokens, err = tokens.Open(t.Context(), store, file, time.Now)
	must(t, err)
	entry := func(destination string) *metainfo.BrokerEntry {
		return &metainfo.BrokerEntry{Destination: destination, Brokers: []string{"broker:61613"}, Username: "u", Password: "p"}
	}
	cfg.Namespace, cfg.Broker = namespace, map[string]metainfo.PromptBroker{namespace: {
		TransformerBroker: entry(message.QueueSlicesWorkers), TransformerBroadcastBroker: entry(message.TopicTransformer), ResultBroker: entry(message.TopicResults),
	}}
	memory := recent.New(nil)
	known := record.New(store, memory, logging.Discard(), record.Config{Namespace: namespace})
	cfg.Record = api.Record{Recent: memory, Components: record.NewRoll(known, service).Components, Compare: record.Compare, Beat: known.Report}
	feed = live.New(live.Config{Service: service, Store: store, Namespace: namespace})
	cfg.Feed, cfg.ROOT = feed, roothist.Encode
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- feed.Run(ctx) }()
	srv := httptest.NewUnstartedServer(api.Handler(service, store, cfg))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = limit, limit
	srv.Start()
	t.Cleanup(func() {
		cancel() // streams end with it
		must(t, <-ended)
		srv.Close()
	})
	return srv.URL
}

func fill(tx ledger.Tx) error {
	var l ledger.Rules
	now := time.Now()
	if err := l.Announce(tx, message.RunImminentWorker{
		RunID: message.Run(run), Namespace: namespace, Content: message.RunImminentWorkerContent{TargetWorkerCount: message.NewInt(5)},
	}, now); err != nil {
		return err
	}
	for i := range 12 {
		m := message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(now), Namespace: namespace,
			Content: message.SliceContent{ReqID: message.Text("s" + strconv.Itoa(10+i)), Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9)},
		}
		if _, err := l.Sent(tx, m, []byte("{}"), now); err != nil {
			return err
		}
		if i > 3 {
			continue
		}
		h := hist.New1D("h", "title", "", 2, 0, 2)
		h.Fill(1)
		pictures, err := json.Marshal(hist.Set{*h})
		if err != nil {
			return err
		}
		r := message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
			Content: message.ResultContent{State: message.StateDone, ReqID: m.Content.ReqID, Counts: map[string]int64{"events": 2}, Histograms: pictures},
		}
		if i == 3 {
			r.Content.State, r.Content.Counts, r.Content.Histograms = message.StateFailed, nil, nil
			r.Content.Failure = &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "why"}
		}
		if err := l.Result(tx, r, now); err != nil {
			return err
		}
	}
	return nil
}

// call makes a request as a role and returns status and body.
func call(t *testing.T, method, url string, role access.Role, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if token := secrets[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, b
}

func read[T any](t *testing.T, url string) T {
	t.Helper()
	status, b := call(t, http.MethodGet, url, access.Viewer, "")
	var out T
	if err := json.Unmarshal(b, &out); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %s, %v", url, status, b, err)
	}
	return out
}
