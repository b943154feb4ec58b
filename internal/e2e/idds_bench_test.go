package e2e_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pelletier/go-toml/v2"

	"tfpilot/idds/postgres"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testbed"
)

const (
	million     = 1_000_000
	millionRuns = 20
)

// storeOf is a new store of a kind: how to open it, what `idds serve` is told of it, and how to run a statement on it.
func storeOf(tb testing.TB, kind, folder string) (open func() ledger.Store, args []string, exec func(statement string)) {
	tb.Helper()
	if kind == "sqlite" {
		return func() ledger.Store {
				must(tb, os.MkdirAll(folder, 0o700))
				s, err := sqlite.Open(tb.Context(), folder, logging.Discard())
				must(tb, err)
				return s
			}, []string{"--state", folder}, func(statement string) {
				db, err := sql.Open("sqlite", sqlite.File(folder))
				must(tb, err)
				defer func() { _ = db.Close() }()
				_, err = db.ExecContext(tb.Context(), statement)
				must(tb, err)
			}
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
	}, []string{"--state", folder, "--store-file", file}, func(statement string) { admin("SET search_path = " + schema + "; " + statement) }
}

// fill puts a million slices in twenty runs into a store. All but the last run have ended, with one slice in a thousand failed
// and one in fifty done at its second attempt; of the last one in ten waits for its worker. One run and the last are taken in as messages are, the others are that one again: rows
// under other names, which the database makes in a moment.
func fill(b *testing.B, open func() ledger.Store, exec func(statement string)) {
	b.Helper()
	const each = million / millionRuns
	store := open()
	fillRun(b, store, 0, each, false)
	fillRun(b, store, million-each, each, true)
	must(b, store.Close())
	for i := 1; i < millionRuns-1; i++ {
		id := strconv.Itoa(200001 + i)
		exec(`INSERT INTO slice (namespace, run, identity, state, filename, pilot, class, failure, created, stf, finished, due, doc, message)
			SELECT namespace, '` + id + `', identity || '-` + id + `', state, replace(filename, '200001', '` + id + `'), pilot, class, failure, created, stf, finished, due,
			doc, message FROM slice WHERE run = '200001' ORDER BY id`)
		exec("INSERT INTO run (namespace, run, open, state, doc) SELECT namespace, '" + id + "', open, state, replace(doc, '200001', '" + id + "') FROM run WHERE run = '200001'")
	}
	exec("ANALYZE") // as the server does by itself before long
}

// fillRun puts the slices of one run into a store. A hundred pilots have had them, one of which very few.
func fillRun(b *testing.B, store ledger.Store, first, n int, open bool) {
	b.Helper()
	const batch = 2000
	rules, now := ledger.Rules{MaxAttempts: 2}, time.Now().Add(-time.Hour)
	for from := first; from < first+n; from += batch {
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
				if open && i%10 == 9 {
					continue
				}
				r := benchResult(m, at)
				r.Content.PilotID = "pilot-" + strconv.Itoa(i%99)
				switch {
				case i%1000 == 998:
					r.Content.State, r.Content.Failure = message.StateFailed, &message.Failure{Name: "payload_failed", Class: "payload"}
				case i%50 == 33: // one in fifty is done at its second attempt
					first := benchResult(m, at)
					first.Content.State, first.Content.Failure = message.StateFailed, &message.Failure{Name: "payload_crashed", Class: "payload", Retryable: true}
					if err := rules.Result(tx, first, at); err != nil {
						return err
					}
					r.Content.Attempt = message.NewInt(2)
				case i%10_000 == 777:
					r.Content.State, r.Content.Failure, r.Content.PilotID = message.StateFailed, &message.Failure{Name: "data_invalid", Class: "data"}, "pilot-rare"
				}
				if err := rules.Result(tx, r, at.Add(time.Duration(i%7000)*time.Millisecond)); err != nil {
					return err
				}
				if i == first+n-1 {
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
// the slowest answers of everything that lists, with every filter, from the beginning and from deep within, and of the pages. With -v
// it prints what was slow.
func BenchmarkMillionSlices(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) { millionSlices(b, kind) })
	}
}

func millionSlices(b *testing.B, kind string) {
	b.Helper()
	stack, err := testbed.NewStack(b.TempDir(), bin(b))
	must(b, err)
	b.Cleanup(stack.StopAll)
	open, args, exec := storeOf(b, kind, stack.Path("idds"))
	fill(b, open, exec)
	server := newBench(b)
	serve := func(name string) (took time.Duration) {
		began := time.Now()
		must(b, stack.Start(b.Context(), name, "idds", append([]string{
			"serve", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile(name), "--broker-addr", server.addr, "--namespace", namespace, "--log-level", "warn",
			"--rate-limit", "0",
		}, args...)))
		_, err := stack.Address(b.Context(), name)
		must(b, err)
		return time.Since(began)
	}
	// Runs that are over were closed by the idds of before.
	serve("before")
	before := newAsker(b, stack, "before", args)
	for closed := 0; closed < millionRuns-1; <-time.After(200 * time.Millisecond) {
		var page document.Page[document.Run]
		must(b, json.Unmarshal(before.get("/v1/runs"), &page))
		closed = 0
		for _, r := range page.Items {
			if r.State == document.RunClosed {
				closed++
			}
		}
	}
	stack.Stop("before")
	b.ResetTimer()
	var start time.Duration
	var rss float64
	// Of the best of some tries: the machine may be busy with something else. cost is what the service took for it, which no load changes
	// by much.
	slowest, cost := map[string]time.Duration{}, map[string]time.Duration{}
	for n := range b.N {
		name := "idds" + strconv.Itoa(n)
		start = max(start, serve(name))
		ask := newAsker(b, stack, name, args)
		for _, path := range lists(ask) {
			took, cpu := ask.best(path, 3, stack.PID(name))
			slowest[path], cost[path] = max(slowest[path], took), max(cost[path], cpu)
		}
		rss = max(rss, residentMB(b, stack.PID(name)))
		stack.Stop(name)
	}
	slow := slices.SortedFunc(maps.Keys(slowest), func(a, b string) int { return cmp.Compare(slowest[b], slowest[a]) })
	worst, dearest := map[bool]time.Duration{}, time.Duration(0)
	for i, path := range slow {
		isList := strings.HasPrefix(path, "/v1/")
		worst[isList], dearest = max(worst[isList], slowest[path]), max(dearest, cost[path])
		if i < 25 {
			b.Logf("%8.1f ms, CPU %6.1f ms  %s", float64(slowest[path].Microseconds())/1000, float64(cost[path].Microseconds())/1000, path)
		}
	}
	b.ReportMetric(float64(len(slow)), "paths")
	b.ReportMetric(start.Seconds(), "start-s")
	b.ReportMetric(float64(worst[true].Microseconds())/1000, "slowest-list-ms")
	b.ReportMetric(float64(worst[false].Microseconds())/1000, "slowest-page-ms")
	b.ReportMetric(float64(dearest.Microseconds())/1000, "dearest-cpu-ms")
	b.ReportMetric(rss, "resident-MB")
}

// lists is everything that lists, with all filters, and the pages that are made of it.
func lists(ask asker) (out []string) {
	out = []string{
		"/", "/runs", "/runs/200010", "/runs/200020", "/slices", "/slices?state=failed", "/slices?run=200020", "/failures", "/workers", "/demand",
		"/v1/runs", "/v1/runs?state=closed", "/v1/runs?limit=5", "/v1/runs/200020", "/v1/runs/200010", "/v1/workers", "/v1/actors", "/v1/demand", "/v1/failures",
		"/v1/failures?run=200010", "/v1/files", "/v1/files?run=200020", "/v1/files?limit=500", "/v1/health",
	}
	var slicePages []string
	for _, run := range []string{"", "&run=200010", "&run=200020"} {
		for _, state := range []string{"", "&state=outstanding", "&state=waiting", "&state=done", "&state=failed"} {
			for _, of := range []string{"", "&worker=pilot-7", "&worker=pilot-rare", "&worker=nobody", "&class=payload", "&reason=data_invalid", "&class=none", "&class=payload&worker=pilot-7"} {
				slicePages = append(slicePages, "/v1/slices?limit=1000"+run+state+of)
			}
			if file := map[string]string{"&run=200010": "000100", "&run=200020": "063400"}[run]; file != "" {
				slicePages = append(slicePages, "/v1/slices?limit=1000"+run+state+"&filename=swf."+run[len("&run="):]+"."+file+".stf")
			}
		}
	}
	// What comes after a page in the middle of a run, and after the last but a page of all.
	for _, run := range []string{"200010", "200019"} {
		next := ""
		for range 20 {
			var page document.Page[document.Slice]
			must(ask.b, json.Unmarshal(ask.get("/v1/slices?limit=1000&run="+run+next), &page))
			next = "&after=" + page.Next
		}
		for _, path := range slicePages {
			out = append(out, path+next)
		}
	}
	return append(out, slicePages...)
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

// best is how long the quickest of some answers took, and the least that a process took for one.
func (a asker) best(path string, tries, pid int) (took, cpu time.Duration) {
	a.b.Helper()
	took, cpu = time.Hour, time.Hour
	for range tries {
		began, used := time.Now(), onProcessors(a.b, pid)
		a.get(path)
		took, cpu = min(took, time.Since(began)), min(cpu, onProcessors(a.b, pid)-used)
	}
	return took, cpu
}

// onProcessors is how long the threads of a process have run, to the nanosecond.
func onProcessors(tb testing.TB, pid int) (total time.Duration) {
	tb.Helper()
	all, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	must(tb, err)
	for _, file := range all {
		if text, err := os.ReadFile(file); err == nil { // or it has ended
			ran, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(ran, 10, 64)
			must(tb, err)
			total += time.Duration(ns)
		}
	}
	return total
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
