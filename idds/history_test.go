package idds_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

func TestAHistoryTellsEachStepOfEachAttemptAndWhatWasAbsorbed(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	begin := b.now
	at := func(seconds int) message.Timestamp {
		return message.At(begin.Add(time.Duration(seconds) * time.Second))
	}
	result := func(attempt, received int, f *message.Failure) func(ledger.Tx) error {
		m := message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace, CreatedAt: at(received + 3),
			Content: message.ResultContent{
				State: message.StateDone, ReqID: "a", Attempt: message.NewInt(int64(attempt)), PilotID: fmt.Sprint("p", attempt), Hostname: "node",
				ReceivedAt: at(received), ProcessingStartAt: at(received + 1), ProcessedAt: at(received + 2), Failure: f,
			},
		}
		if f != nil {
			m.Content.State = message.StateFailed
		}
		return func(tx ledger.Tx) error {
			return b.ledger.Result(tx, m, begin.Add(time.Duration(received+4)*time.Second))
		}
	}
	b.do(b.sent(1), result(1, 10, crashed), b.sent(2), result(2, 20, nil))
	for i := range 12 {
		b.do(result(2, 30+i, nil))
	}
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	s, err := idds.New(b.store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	h, err := s.History(t.Context(), keyA)
	must(t, err)
	var told []string
	for _, e := range h.Events {
		told = append(told, fmt.Sprintf("%s %d %s", e.What, e.Attempt, e.PilotID))
	}
	want := "created 0 , sent 1 , sent 2 , received 1 p1, started 1 p1, processed 1 p1, published 1 p1, finished 1 p1, " +
		"received 2 p2, started 2 p2, processed 2 p2, published 2 p2, finished 2 p2, final 0 " + strings.Repeat(", absorbed 2 p2", 10)
	if got := strings.Join(told, ", "); got != want || h.Absorbed != 12 {
		t.Errorf("%d absorbed: %s", h.Absorbed, got)
	}
}

func TestAnAttemptThatWasGivenUpSaysSoAlsoWhenItsResultComesLater(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.lost(1), b.sent(2), b.result("a", 1, nil))
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	s, err := idds.New(b.store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	h, err := s.History(t.Context(), keyA)
	must(t, err)
	var told []string
	for _, e := range h.Events {
		told = append(told, fmt.Sprintf("%s %d %s", e.What, e.Attempt, e.Details))
	}
	if got := strings.Join(told, ", "); got != "created 0 , sent 1 , lost 1 why, sent 2 , finished 1 done, final 0 done" {
		t.Error(got)
	}
}

// quiet is a store that counts how often it is asked for the open runs.
type quiet struct {
	ledger.Store

	asked atomic.Int64
}

func (q *quiet) OpenRuns(ctx context.Context, namespace string) ([]ledger.Run, error) {
	q.asked.Add(1)
	return q.Store.OpenRuns(ctx, namespace)
}

func TestWhoAsksOftenForTheDemandAsksTheStoreOnce(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(func(tx ledger.Tx) error {
		return b.ledger.Announce(tx, message.RunImminentWorker{MsgType: message.TypeRunImminentWorker, Namespace: namespace, RunID: message.Run(run)}, b.now)
	})
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	store := &quiet{Store: b.store}
	s, err := idds.New(store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	for range 3 {
		if d, err := s.DemandLately(t.Context()); err != nil || len(d.Demands) != 1 || d.Demands[0].RunID != run {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	if n := store.asked.Load(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
}

// closing is a store in which a run that was open is closed a moment later.
type closing struct{ ledger.Store }

func (s closing) FindRuns(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error) {
	f.States = nil
	list, err := s.Store.FindRuns(ctx, f)
	for i := range list {
		list[i].State, list[i].StopSent = document.RunClosed, true
	}
	return list, err
}

func TestARunThatClosesWhileItIsLookedForIsWantedOnce(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(func(tx ledger.Tx) error {
		return b.ledger.Announce(tx, message.RunImminentWorker{MsgType: message.TypeRunImminentWorker, Namespace: namespace, RunID: message.Run(run)}, b.now)
	})
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	s, err := idds.New(closing{b.store}, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	if d, err := s.Demand(t.Context()); err != nil || len(d.Demands) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}
