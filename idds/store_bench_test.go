package idds_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tfpilot/idds"
	"tfpilot/idds/postgres"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// benchStore is a new store of a kind.
func benchStore(b *testing.B, kind string) ledger.Store {
	b.Helper()
	if kind == "sqlite" {
		s, err := sqlite.Open(b.Context(), b.TempDir(), logging.Discard())
		mustBench(b, err)
		b.Cleanup(func() { _ = s.Close() })
		return s
	}
	u, err := url.Parse(os.Getenv("TFPILOT_TEST_POSTGRES"))
	mustBench(b, err)
	if u.Host == "" {
		b.Skip("TFPILOT_TEST_POSTGRES names no server; `scripts/services.sh up postgres` starts one and prints it")
	}
	schema := "bench_" + strings.ToLower(rand.Text()[:8])
	do := func(statement string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, u.String())
		mustBench(b, err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, statement)
		mustBench(b, err)
	}
	do("CREATE SCHEMA " + schema)
	b.Cleanup(func() { do("DROP SCHEMA " + schema + " CASCADE") })
	query := u.Query()
	query.Set("search_path", schema)
	u2 := *u
	u2.RawQuery = query.Encode()
	s, err := postgres.Open(b.Context(), u2.String(), logging.Discard())
	mustBench(b, err)
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func mustBench(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// perSecond is how many results a second have to be taken in.
const perSecond = 5000

// BenchmarkSteady takes in 5,000 slices and their 5,000 results each second, from a message's arrival to its acknowledgement, while
// somebody asks for the runs, the accounting and the failed slices each second. An operation is a second: -benchtime 60x is a minute.
// How far it was behind at most, and the share of the machine that this process took, say how much is left.
func BenchmarkSteady(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}})
			mustBench(b, err)
			store := benchStore(b, kind)
			service, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
			mustBench(b, err)
			slices, results := messages(b, 1) // as templates: the identity is another each time
			var template message.Slice
			mustBench(b, json.Unmarshal(slices[0].Body, &template))
			old := []byte(template.Content.ReqID)
			take := func(queue string, like *broker.Delivery, names []string) {
				part := make([]*broker.Delivery, len(names))
				for i, name := range names {
					body := bytes.ReplaceAll(like.Body, old, []byte(name))
					part[i] = &broker.Delivery{Message: &stomp.Message{Header: like.Header, Body: body}}
				}
				_, err := service.Take(b.Context(), queue, part)
				mustBench(b, err)
			}
			asked := make(chan struct{}, 1)
			asking, stop := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-asked:
						look(b, service, store) //nolint:contextcheck // that of the benchmark
					case <-asking.Done():
						return
					}
				}
			}()
			var behind time.Duration
			var before, after syscall.Rusage
			mustBench(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
			b.ResetTimer()
			began := time.Now()
			const batch = 250
			for n := range b.N * perSecond / batch {
				due := began.Add(time.Duration(n) * batch * time.Second / perSecond)
				if wait := time.Until(due); wait > 0 {
					<-time.After(wait)
				}
				names := make([]string, batch)
				for i := range names {
					names[i] = uuid.NewString()
				}
				take(message.QueueSlicesIDDS, slices[0], names)
				take(message.QueueResultsIDDS, results[0], names)
				behind = max(behind, time.Since(due))
				if n%(perSecond/batch) == 0 {
					select {
					case asked <- struct{}{}:
					default:
					}
				}
			}
			took := time.Since(began)
			mustBench(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
			stop()
			<-done
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			_, tally, err := store.Tally(b.Context(), namespace, run)
			if mustBench(b, err); tally[ledger.Done] != b.N*perSecond {
				b.Fatalf("%v, want %d done", tally, b.N*perSecond)
			}
			b.ReportMetric(float64(b.N*perSecond)/took.Seconds(), "results/s")
			b.ReportMetric(behind.Seconds(), "behind-s")
			b.ReportMetric(cpu.Seconds()/took.Seconds(), "cores")
		})
	}
}

// look asks what a page that is open asks for.
func look(b *testing.B, service *idds.Service, store ledger.Store) {
	b.Helper()
	ctx := b.Context()
	runs, err := store.Runs(ctx, namespace)
	if err != nil || len(runs) == 0 {
		return
	}
	for _, r := range runs {
		if _, err := service.RunDocument(ctx, r); err != nil {
			b.Error(err)
		}
	}
	if _, err := store.Slices(b.Context(), ledger.Filter{States: []ledger.SliceState{ledger.Failed}, Limit: 100}); err != nil {
		b.Error(err)
	}
}
