package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// held are the directions of idds' line to the broker. What idds sends while up is held has not happened for the broker; what the
// broker answers while down is held has not happened for idds.
var (
	upHeld   = faultproxy.Conditions{Up: faultproxy.Direction{Hold: true}}
	downHeld = faultproxy.Conditions{Down: faultproxy.Direction{Hold: true}}
)

// breakable starts idds on a line that can be held.
func (c *chain) breakable(tb testing.TB) *faultproxy.Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(tb, err)
	p := faultproxy.New(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", c.Broker) }, nil)
	background(tb, func(ctx context.Context) error { return p.Serve(ctx, ln) })
	c.Via = map[string]string{"idds": ln.Addr().String()}
	must(tb, c.StartIDDS(tb.Context()))
	return p
}

// killIDDS ends idds as a crash does, and starts it again on the same state and a good line.
func (c *chain) killIDDS(tb testing.TB, p *faultproxy.Proxy) {
	tb.Helper()
	must(tb, syscall.Kill(c.PID("idds"), syscall.SIGKILL))
	<-c.Ended("idds")
	p.Reset()
	p.Set(faultproxy.Conditions{})
	must(tb, c.StartIDDS(tb.Context()))
}

// until waits for the run's accounting to be so.
func (c *chain) until(tb testing.TB, what string, ok func(document.RunCheck) bool) {
	tb.Helper()
	await(tb, what, func() bool {
		check, err := c.Client().Check(soon(tb), run)
		return err == nil && ok(check)
	})
}

// take takes slices as a worker does, one at a time.
func (c *chain) take(tb testing.TB) *broker.Consumer {
	tb.Helper()
	w := c.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	tb.Cleanup(func() { _ = w.Close(context.Background()) })
	<-w.Ready()
	return w
}

// work answers the next slice; the failure says how.
func (c *chain) work(ctx context.Context, w *broker.Consumer, verdict func(message.Slice) *message.Failure) (message.Slice, error) {
	d, err := w.Next(ctx)
	if err != nil {
		return message.Slice{}, err
	}
	m, err := message.Decode[message.Slice](d.Body)
	if err != nil {
		return m, err
	}
	copied, err := m.Content.Copy()
	if err != nil {
		return m, err
	}
	f := verdict(m)
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.Run(), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.ResultContent{
			RequestedAt: m.CreatedAt, State: message.StateDone, ReqID: m.Content.ReqID, Attempt: m.Content.Attempt, PilotID: "stand-in",
			Counts: map[string]int64{"events": 1}, Failure: f, Result: message.Outcome{State: f == nil, Result: copied},
		},
	}
	if f != nil {
		r.Content.State, r.Content.Counts = message.StateFailed, nil
	}
	body, err := json.Marshal(r)
	if err != nil {
		return m, err
	}
	n := m.Content.AttemptNumber()
	return m, errors.Join(c.link.Publish(ctx, broker.Out{
		Destination: message.TopicResults, Body: body, DuplicateID: message.ResultDuplicateID(namespace, run, m.Content.Identity(), n, r.Content.State),
		Headers: []string{"persistent", "true", "msg_type", message.TypeSliceResult, "run_id", run, "namespace", namespace},
	}), d.Ack(ctx))
}

var (
	broken = &message.Failure{Code: 12, Name: "payload_crashed", Class: "payload", Retryable: true, Message: "signal"}
	hope   = &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "no range"}
)

func good(message.Slice) *message.Failure { return nil }
func bad(message.Slice) *message.Failure  { return broken }

func (c *chain) mustWork(tb testing.TB, w *broker.Consumer, verdict func(message.Slice) *message.Failure) message.Slice {
	tb.Helper()
	m, err := c.work(soon(tb), w, verdict)
	must(tb, err)
	return m
}

func TestIDDSKilledBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	const n = 20
	waits := func(c document.RunCheck) bool { return c.Places[document.PlaceWaiting] == 1 }

	t.Run("CommittedAndNotAcknowledged", func(t *testing.T) {
		t.Parallel()
		c := newChain(t)
		p := c.breakable(t)
		p.Set(upHeld)
		for i := range n {
			c.publish(t, slice(i))
		}
		// A batch of them; the next waits for the acknowledgements of this one.
		c.until(t, "slices to be committed", func(c document.RunCheck) bool { return c.Slices.Published > 0 })
		c.killIDDS(t, p)
		w := c.take(t)
		p.Set(upHeld)
		for range n {
			c.mustWork(t, w, good)
		}
		c.until(t, "results to be committed", func(c document.RunCheck) bool { return c.Slices.Done > 0 })
		c.killIDDS(t, p)
		c.endRun(t, n)
		got := c.check(t, document.SliceCounts{Published: n, Done: n})
		if got.Counts["events"] != n || got.Slices.Unexplained != 0 || got.Slices.Retried != 0 {
			t.Errorf("%d events, %+v", got.Counts["events"], got.Slices)
		}
	})
	t.Run("DecidedAndNotSent", func(t *testing.T) {
		t.Parallel()
		c := newChain(t)
		p := c.breakable(t)
		w := c.take(t)
		c.publish(t, slice(0))
		c.mustWork(t, w, bad)
		c.until(t, "the failure", waits)
		p.Set(upHeld)
		c.until(t, "the decision", func(c document.RunCheck) bool { return c.Places[document.PlaceUnsent] == 1 })
		c.killIDDS(t, p)
		c.secondAttempt(t, w)
	})
	t.Run("SentAndNotConfirmed", func(t *testing.T) {
		t.Parallel()
		c := newChain(t)
		p := c.breakable(t)
		w := c.take(t)
		c.publish(t, slice(0))
		c.mustWork(t, w, bad)
		c.until(t, "the failure", waits)
		p.Set(downHeld)
		if m := c.mustWork(t, w, good); m.Content.AttemptNumber() != 2 { // it is out
			t.Errorf("attempt %d", m.Content.AttemptNumber())
		}
		c.until(t, "it to be open whether it is", func(c document.RunCheck) bool { return c.Places[document.PlaceUnsent] == 1 })
		c.killIDDS(t, p)
		c.endRun(t, 1)
		if got := c.check(t, document.SliceCounts{Published: 1, Done: 1}); got.Slices.Retried != 1 || got.Slices.Unexplained != 0 {
			t.Errorf("%+v", got.Slices)
		}
		c.nothingLeft(t, w)
	})
	t.Run("ClosedAndNotTold", func(t *testing.T) {
		t.Parallel()
		c := newChain(t)
		p := c.breakable(t)
		w := c.take(t)
		stops := c.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicTransformer, Ack: "auto"})
		<-stops.Ready()
		c.publish(t, slice(0))
		c.mustWork(t, w, good)
		c.until(t, "the result", func(c document.RunCheck) bool { return c.Slices.Done == 1 })
		p.Set(upHeld)
		c.endRun(t, 1)
		c.until(t, "the close", func(c document.RunCheck) bool { return c.State == document.RunClosed })
		c.killIDDS(t, p)
		d, err := stops.Next(soon(t))
		must(t, err)
		if m, err := message.Decode[message.StopTransformer](d.Body); err != nil || m.RunID.String() != run {
			t.Errorf("%s, %v", d.Body, err)
		}
		c.check(t, document.SliceCounts{Published: 1, Done: 1})
	})
}

// secondAttempt expects the second attempt of slice 0, once. The failure of the first may come a second time: its acknowledgement
// may have been on the way when idds was killed.
func (c *chain) secondAttempt(tb testing.TB, w *broker.Consumer) {
	tb.Helper()
	if m := c.mustWork(tb, w, good); m.Content.AttemptNumber() != 2 {
		tb.Errorf("attempt %d", m.Content.AttemptNumber())
	}
	c.endRun(tb, 1)
	if got := c.check(tb, document.SliceCounts{Published: 1, Done: 1}); got.Slices.Retried != 1 || got.Slices.Absorbed > 1 {
		tb.Errorf("%+v", got.Slices)
	}
	c.nothingLeft(tb, w)
}

// nothingLeft sends a slice of another run: it is the next, if there is no other.
func (c *chain) nothingLeft(tb testing.TB, w *broker.Consumer) {
	tb.Helper()
	last := slice(99)
	last.RunID = message.Run("100099")
	c.publish(tb, last)
	d, err := w.Next(soon(tb))
	must(tb, err)
	if m, err := message.Decode[message.Slice](d.Body); err != nil || m.Run().String() != "100099" {
		tb.Errorf("left on the queue: %s, %v", d.Body, err)
	}
}

// fate says what becomes of a slice, by its identity: most are done at once, some at their second attempt, some never.
func fate(m message.Slice) *message.Failure {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.Content.Identity()))
	switch h.Sum32() % 10 {
	case 0:
		return hope
	case 1:
		return broken
	case 2, 3:
		if m.Content.AttemptNumber() == 1 {
			return broken
		}
	}
	return nil
}

func TestIDDSKilledAtManyPointsOfARunLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			c := newChain(t)
			c.dieOften(t, c.breakable(t), seed)
		})
	}
}

// workers answer slices by their fate until the test ends, and count what they have answered.
func (c *chain) workers(tb testing.TB, answered *atomic.Int64) {
	tb.Helper()
	for range 3 {
		w := c.take(tb)
		background(tb, func(ctx context.Context) error {
			for {
				if _, err := c.work(ctx, w, fate); err != nil && !errors.Is(err, broker.ErrStale) { // which another gets again
					return unlessOver(err)
				}
				answered.Add(1)
			}
		})
	}
}

// unlessOver is nil for the errors of a line that the test has ended.
func unlessOver(err error) error {
	for _, end := range []error{context.Canceled, broker.ErrClosed, broker.ErrConsumerClosed} {
		if errors.Is(err, end) {
			err = nil
		}
	}
	return err
}

// fated publishes slices and says what has to become of them.
func (c *chain) fated(tb testing.TB, n int, after func(i int)) (want document.SliceCounts) {
	tb.Helper()
	for i := range n {
		m := slice(i)
		last := m
		last.Content.Attempt = message.NewInt(3)
		want.Published++
		if fate(last) == nil {
			want.Done++
		} else {
			want.Failed++
		}
		c.publish(tb, m)
		after(i)
	}
	return want
}

// endFated ends the run and holds it to what has to become of its slices.
func (c *chain) endFated(tb testing.TB, want document.SliceCounts) {
	tb.Helper()
	c.endRun(tb, int64(want.Published))
	got := c.check(tb, want)
	if got.Counts["events"] != int64(want.Done) || got.Slices.Unexplained != 0 || got.Slices.Unmatched != 0 {
		tb.Errorf("%d events of %d, %+v", got.Counts["events"], want.Done, got.Slices)
	}
}

// dieOften has workers answer 90 slices while idds is killed again and again, each time after so many answers as the seed says.
func (c *chain) dieOften(tb testing.TB, p *faultproxy.Proxy, seed uint64) {
	tb.Helper()
	const n = 90
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	var answered atomic.Int64
	c.workers(tb, &answered)
	want := c.fated(tb, n, func(int) {})
	for range 5 {
		target := answered.Load() + random.Int64N(25)
		await(tb, "some answers", func() bool { return answered.Load() >= min(target, n) })
		c.killIDDS(tb, p)
	}
	c.endFated(tb, want)
}
