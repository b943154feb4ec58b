package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pelletier/go-toml/v2"

	"tfpilot/idds/postgres"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testbed"
)

const (
	million     = 1_000_000
	millionRuns = 20
)

// storeOf is a new store of a kind: how to open it, and what `idds serve` is told of it.
func storeOf(tb testing.TB, kind, folder string) (open func() ledger.Store, args []string) {
	tb.Helper()
	if kind == "sqlite" {
		return func() ledger.Store {
			must(tb, os.MkdirAll(folder, 0o700))
			s, err := sqlite.Open(tb.Context(), folder, logging.Discard())
			must(tb, err)
			return s
		}, []string{"--state", folder}
	}
	u, err := url.Parse(os.Getenv("TFPILOT_TEST_POSTGRES"))
	must(tb, err)
	if u.Host == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		tb.Fatal("TFPILOT_TEST_POSTGRES names no server, and REQUIRE_SERVICES=1")
	}
	if u.Host == "" {
		tb.Skip("TFPILOT_TEST_POSTGRES names no server; `scripts/services.sh up postgres` starts one and prints it")
	}
	schema := "bench_" + strings.ToLower(rand.Text()[:8])
	admin := func(statement string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, u.String())
		must(tb, err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, statement)
		must(tb, err)
	}
	admin("CREATE SCHEMA " + schema)
	tb.Cleanup(func() { admin("DROP SCHEMA " + schema + " CASCADE") })
	query := u.Query()
	query.Set("search_path", schema)
	address := *u
	address.RawQuery = query.Encode()
	file := folder + ".store"
	must(tb, os.WriteFile(file, []byte(address.String()), 0o600))
	return func() ledger.Store {
		s, err := postgres.Open(tb.Context(), address.String(), logging.Discard())
		must(tb, err)
		return s
	}, []string{"--state", folder, "--store-file", file}
}

// fill puts a million slices in twenty runs into a store. All but the last run have ended, with one slice in a thousand failed; of
// the last one in ten waits for its worker.
func fill(b *testing.B, store ledger.Store) {
	b.Helper()
	const batch = 2000
	rules, now := ledger.Rules{MaxAttempts: 1}, time.Now().Add(-time.Hour)
	for from := 0; from < million; from += batch {
		at := now.Add(time.Duration(from) * time.Millisecond / 10)
		must(b, store.Update(b.Context(), func(tx ledger.Tx) error {
			for i := from; i < from+batch; i++ {
				m := benchSlice(i, at)
				body, err := json.Marshal(m)
				if err != nil {
					return err
				}
				if _, err := rules.Sent(tx, m, body, at); err != nil {
					return err
				}
				if i >= million-million/millionRuns && i%10 == 9 {
					continue
				}
				r := benchResult(m, at)
				if i%1000 == 998 {
					r.Content.State, r.Content.Failure = message.StateFailed, &message.Failure{Name: "payload_failed", Class: "payload"}
				}
				if err := rules.Result(tx, r, at.Add(time.Duration(i%7000)*time.Millisecond)); err != nil {
					return err
				}
				if n := million / millionRuns; i%n == n-1 {
					end := message.EndRun{MsgType: message.TypeEndRun, RunID: m.RunID, CreatedAt: m.CreatedAt, Namespace: namespace}
					end.Content.TotalSlices = message.NewInt(int64(n))
					if err := rules.End(tx, end, at); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
}

func benchSlice(i int, at time.Time) message.Slice {
	id := strconv.Itoa(200001 + i/(million/millionRuns))
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(id), CreatedAt: message.At(at), Sender: "daq", Namespace: namespace,
		Content: message.SliceContent{
			RunID: message.Run(id), ReqID: message.Text(rand.Text()), Filename: fmt.Sprintf("/data/swf.%s.%06d.stf", id, i/15), State: "run", Substate: "physics",
			TFFilename: fmt.Sprintf("swf.%s.%06d_slice_%03d.tf", id, i/15, i%15), SliceID: message.NewInt(int64(i % 15)),
			Start: message.NewInt(0), End: message.NewInt(65), Attempt: message.NewInt(1), STFCreatedAt: message.At(at),
		},
	}
}

func benchResult(m message.Slice, at time.Time) message.SliceResult {
	took := 0.4
	return message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.RunID, CreatedAt: message.At(at), Sender: "pilot", Namespace: namespace,
		Content: message.ResultContent{
			RequestedAt: m.CreatedAt, State: message.StateDone, ReqID: m.Content.ReqID, Attempt: m.Content.Attempt, PilotID: "pilot", Hostname: "host",
			ProcessingStartAt: m.CreatedAt, ProcessingTime: &took, Counts: map[string]int64{"events": 45, "tracks": 120},
		},
	}
}

// BenchmarkMillionSlices is `idds serve` on a store with a million slices: how long it takes to start, what it holds in memory, and
// the slowest answer of everything that lists.
func BenchmarkMillionSlices(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			stack, err := testbed.NewStack(b.TempDir(), bin(b))
			must(b, err)
			b.Cleanup(stack.StopAll)
			open, args := storeOf(b, kind, stack.Path("idds"))
			store := open()
			fill(b, store)
			must(b, store.Close())
			server := newBench(b)
			serve := func(name string) (took time.Duration) {
				began := time.Now()
				must(b, stack.Start(b.Context(), name, "idds", append([]string{
					"serve", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile(name), "--broker-addr", server.addr, "--namespace", namespace, "--log-level", "warn",
				}, args...)))
				_, err := stack.Address(b.Context(), name)
				must(b, err)
				return time.Since(began)
			}
			// Runs that are over were closed by the idds of before.
			serve("before")
			before := newAsker(b, stack, "before", args)
			for closed := 0; closed < millionRuns-1; <-time.After(200 * time.Millisecond) {
				var page message.Page[message.RunDocument]
				must(b, json.Unmarshal(before.get("/v1/runs"), &page))
				closed = 0
				for _, r := range page.Items {
					if r.State == message.RunClosed {
						closed++
					}
				}
			}
			stack.Stop("before")
			b.ResetTimer()
			var start, slowest time.Duration
			var rss float64
			for n := range b.N {
				name := "idds" + strconv.Itoa(n)
				start = max(start, serve(name))
				ask := newAsker(b, stack, name, args)
				for range 5 {
					for _, path := range lists {
						began := time.Now()
						ask.get(path)
						if took := time.Since(began); took > slowest {
							slowest = took
							b.Logf("%s: %s", path, took)
						}
					}
				}
				rss = max(rss, residentMB(b, stack.PID(name)))
				stack.Stop(name)
			}
			b.ReportMetric(start.Seconds(), "start-s")
			b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest-list-ms")
			b.ReportMetric(rss, "resident-MB")
		})
	}
}

// lists is everything that lists.
var lists = []string{
	"/v1/runs", "/v1/workers", "/v1/actors", "/v1/demand", "/v1/slices", "/v1/slices?limit=1000", "/v1/slices?state=failed", "/v1/slices?state=outstanding&limit=1000",
	"/v1/slices?state=waiting", "/v1/slices?state=done", "/v1/slices?run=200010", "/v1/slices?run=200020&state=failed&limit=1000", "/v1/slices?run=200010&state=outstanding",
	"/v1/slices?namespace=" + namespace, "/v1/slices?namespace=" + namespace + "&run=200020&state=outstanding",
	// The cursor of the last page.
	"/v1/slices?after=eyJOYW1lc3BhY2UiOiJlMmUiLCJSdW4iOiIyMDAwMTkiLCJJZGVudGl0eSI6IlkifQ",
}

// asker asks a service as a viewer.
type asker struct {
	b           *testing.B
	base, token string
}

func newAsker(b *testing.B, stack *testbed.Stack, name string, args []string) asker {
	b.Helper()
	addr, err := stack.Address(b.Context(), name)
	must(b, err)
	var tokens struct{ Viewer []string }
	text, err := os.ReadFile(filepath.Join(args[1], "tokens.toml"))
	must(b, err)
	must(b, toml.Unmarshal(text, &tokens))
	return asker{b, "http://" + addr, tokens.Viewer[0]}
}

func (a asker) get(path string) []byte {
	a.b.Helper()
	req, err := http.NewRequestWithContext(a.b.Context(), http.MethodGet, a.base+path, http.NoBody)
	must(a.b, err)
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := http.DefaultClient.Do(req)
	must(a.b, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if must(a.b, err); resp.StatusCode != http.StatusOK {
		a.b.Fatalf("%s: %d, %s", path, resp.StatusCode, text)
	}
	return text
}
