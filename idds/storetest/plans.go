package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/message"
)

// Plans asks a store, filled by Fill, for slices and runs with every filter, and tells of each query how the database goes about it. explain is
// what the database is asked for its plan with.
func Plans(t *testing.T, c driver.Connector, explain string, tell func(query, plan string)) {
	t.Helper()
	db := sql.OpenDB(explaining{c, explain, tell})
	defer func() { _ = db.Close() }()
	reader := ledgersql.NewReader(db, func(err error) error { return err })
	states := []ledger.SliceState{ledger.Failed, ledger.Outstanding}
	after := ledger.Key{Namespace: namespace, Run: run, Identity: "s0001"}
	for _, f := range []ledger.Filter{
		{},
		{Namespace: namespace},
		{Run: run},
		{States: states},
		{Namespace: namespace, Run: run, After: after},
		{Pilot: "p1"},
		{Pilot: "p1", Run: run},
		{Pilot: "p1", Class: "data", After: after},
		{Pilot: "p1", Class: "data", Run: run, States: states, Filename: "0.stf"},
		{Class: "data"},
		{Class: "data", States: states},
		{Failure: "data_invalid", Run: run, States: states},
		{Run: run, Filename: "0.stf", After: after},
	} {
		f.Limit = 10
		_, err := reader.Slices(t.Context(), f)
		must(t, err)
	}
	for _, f := range []ledger.RunFilter{{Run: run}, {States: document.KnownRuns()}, {Namespace: namespace, States: document.KnownRuns(), Descending: true}} {
		_, err := reader.FindRuns(t.Context(), f)
		must(t, err)
	}
	_, err := reader.OpenRuns(t.Context(), namespace)
	must(t, err)
	_, err = reader.Slice(t.Context(), after)
	must(t, err)
	_, err = reader.Due(t.Context(), namespace, time.Now())
	must(t, err)
}

// Fill puts a thousand slices in two runs into a store.
func Fill(t *testing.T, store ledger.Store) {
	t.Helper()
	now, rules := time.Now(), ledger.Rules{MaxAttempts: maxAttempts}
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		for i := range 1000 {
			m := slice(fmt.Sprintf("s%04d", i*7919%1000), 1, now)
			m.RunID, m.Content.Filename = message.Run([]string{run, "100002"}[i/500]), fmt.Sprintf("%d.stf", i/10)
			var f *message.Failure
			if i%50 == 3 {
				f = &message.Failure{Class: "data", Name: "data_invalid"}
			}
			err := sent(tx, rules, m, now)
			if i%3 > 0 {
				err = errors.Join(err, rules.Result(tx, outcome(m, fmt.Sprintf("p%d", i%7), f), now))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// explaining is a database whose plans are told before its answers.
type explaining struct {
	driver.Connector

	explain string
	tell    func(query, plan string)
}

// Connect opens a session.
func (e explaining) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := e.Connector.Connect(ctx)
	return session{conn, e}, err
}

type session struct {
	driver.Conn

	of explaining
}

// BeginTx begins a transaction, as the driver does.
func (s session) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	b, ok := s.Conn.(driver.ConnBeginTx)
	if !ok {
		return nil, errors.New("the driver begins no such transactions")
	}
	return b.BeginTx(ctx, opts)
}

// QueryContext tells the plan of a query, and answers it.
func (s session) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := s.Conn.(driver.QueryerContext)
	if !ok {
		return nil, errors.New("the driver answers no queries")
	}
	rows, err := q.QueryContext(ctx, s.of.explain+query, args)
	if err != nil {
		return nil, err
	}
	var plan strings.Builder
	row := make([]driver.Value, len(rows.Columns()))
	for err = rows.Next(row); err == nil; err = rows.Next(row) {
		fmt.Fprintln(&plan, row[len(row)-1]) // what it does is said last
	}
	if err = errors.Join(rows.Close(), ignoreEnd(err)); err != nil {
		return nil, err
	}
	s.of.tell(query, plan.String())
	return q.QueryContext(ctx, query, args)
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
