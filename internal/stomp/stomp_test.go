package stomp_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/stomp"
)

func TestManySendsWaitForTheirReceiptsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	c := pipe(t, plain, func(p *peer) {
		var frames []*frame.Frame
		for range n {
			frames = append(frames, p.next(frame.SEND))
		}
		for i := range frames { // and in any order
			p.receipt(frames[n-1-i])
		}
	})
	var receipts []*stomp.Receipt
	for i := range n {
		r, err := c.Send(soon(t), "/queue/q", []byte(strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	for i, r := range receipts {
		if err := r.Wait(soon(t)); err != nil {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
}

func TestARefusalReachesItsSenderAndEndsTheOthers(t *testing.T) {
	t.Parallel()
	c := pipe(t, plain, func(p *peer) {
		p.next(frame.SEND)
		f := p.next(frame.SEND)
		p.sendBody(frame.ERROR, "queue is full", "message", "refused", "receipt-id", f.Header.Get(frame.Receipt))
	})
	other, err := c.Send(soon(t), "/queue/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := c.Send(soon(t), "/queue/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := errors.AsType[*stomp.ServerError](refused.Wait(soon(t)))
	if want := (&stomp.ServerError{Message: "refused", Body: "queue is full", ReceiptID: "2"}); !ok || !cmp.Equal(e, want) {
		t.Errorf("the refused one got %v, want %v", e, want)
	}
	if err := other.Wait(soon(t)); !errors.Is(err, stomp.ErrClosed) {
		t.Errorf("the other one got %v", err)
	}
	if e, ok := errors.AsType[*stomp.ServerError](await(t, c)); !ok || e.Message != "refused" {
		t.Errorf("the connection ended with %v", e)
	}
	if _, err := c.Send(soon(t), "/queue/c", nil); !errors.Is(err, stomp.ErrClosed) {
		t.Errorf("a later one got %v", err)
	}
}

func TestAReceiptThatComesTooLateHarmsNobody(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	c := pipe(t, plain, func(p *peer) {
		f := p.next(frame.SEND)
		<-late
		p.receipt(f)
		p.receipt(f) // twice, even
		p.receipt(frame.New(frame.SEND, "receipt", "never asked for"))
		p.confirm()
	})
	r, err := c.Send(soon(t), "/queue/q", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(soon(t))
	tired := errors.New("tired of waiting")
	cancel(tired)
	if err := r.Wait(ctx); !errors.Is(err, tired) {
		t.Errorf("the wait ended with %v", err)
	}
	close(late)
	again, err := c.Send(soon(t), "/queue/q", nil)
	if err == nil {
		err = again.Wait(soon(t))
	}
	if err != nil {
		t.Errorf("the next one: %v", err)
	}
	if err := r.Wait(soon(t)); err != nil {
		t.Errorf("the late one, asked again: %v", err)
	}
}

func TestAckNamesTheMessageAsItsVersionWants(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"1.2": {"id", "ack-m1"},
		"1.1": {"message-id", "m1", "subscription", "s1"},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			got := make(chan *frame.Frame, 1)
			c := pipe(t, []string{"version", version}, func(p *peer) {
				// Artemis sends what the producer said before what it says itself.
				p.sendBody(frame.MESSAGE, "x", "ack", "auto", "subscription", p.subscribed(), "message-id", "m1", "ack", "ack-m1")
				f := p.next(frame.ACK)
				p.receipt(f)
				f.Header.Del(frame.Receipt)
				got <- f
			})
			m := receive(t, subscribe(t, c, stomp.SubscribeOptions{Destination: "/queue/q"}))
			r, err := c.Ack(soon(t), m)
			if err == nil {
				err = r.Wait(soon(t))
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(frame.NewHeader(want...), (<-got).Header, cmp.AllowUnexported(frame.Header{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestOnlyAHeldMessageIsAcknowledged(t *testing.T) {
	t.Parallel()
	script := func(p *peer) {
		sub := p.subscribed()
		p.message(sub, "m1", "a")
		p.message(sub, "m2", "b")
		p.confirm()
	}
	c := pipe(t, plain, script)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/queue/q"})
	first, second := receive(t, s), receive(t, s)

	other := pipe(t, plain, func(*peer) {})
	if _, err := other.Ack(soon(t), first); !errors.Is(err, stomp.ErrNotHeld) && !errors.Is(err, stomp.ErrClosed) {
		t.Errorf("on another connection: %v", err)
	}
	r, err := c.Ack(soon(t), first)
	if err == nil {
		err = r.Wait(soon(t))
	}
	if err != nil {
		t.Errorf("the first time: %v", err)
	}
	if _, err := c.Ack(soon(t), first); !errors.Is(err, stomp.ErrNotHeld) {
		t.Errorf("the second time: %v", err)
	}
	if err := s.Unsubscribe(soon(t)); err != nil {
		t.Errorf("unsubscribing: %v", err)
	}
	if _, err := c.Ack(soon(t), second); !errors.Is(err, stomp.ErrNotHeld) {
		t.Errorf("after unsubscribing: %v", err)
	}
}

func TestManyAcknowledgementsShareAReceipt(t *testing.T) {
	t.Parallel()
	said := make(chan string, 4)
	c := pipe(t, plain, func(p *peer) {
		sub := p.subscribed()
		for _, id := range []string{"m1", "m2", "m3", "m4"} {
			p.message(sub, id, id)
		}
		for range 2 {
			f := p.next(frame.ACK)
			said <- f.Header.Get(frame.Id)
			if _, asked := f.Header.Contains(frame.Receipt); asked {
				p.receipt(f)
			}
		}
		f := p.next(frame.ACK)
		said <- f.Header.Get(frame.Id)
		p.receipt(f)
		p.confirm()
	})
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/queue/q"})
	m := []*stomp.Message{receive(t, s), receive(t, s), receive(t, s), receive(t, s)}
	r, err := c.Ack(soon(t), m[0])
	if err != nil || r.Wait(soon(t)) != nil {
		t.Fatal(err)
	}
	r, err = c.Ack(soon(t), m[2], m[0], m[1])
	if !errors.Is(err, stomp.ErrNotHeld) || r == nil {
		t.Fatalf("one of three was not held: %v, %v", r, err)
	}
	if err := r.Wait(soon(t)); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"ack-m1", "ack-m3", "ack-m2"} {
		if got := <-said; got != want {
			t.Errorf("acknowledged %s, want %s", got, want)
		}
	}
	if r, err := c.Ack(soon(t), m[0], m[1]); r != nil || !errors.Is(err, stomp.ErrNotHeld) {
		t.Errorf("none was held: %v, %v", r, err)
	}
}

func TestAfterUnsubscribeNothingIsDelivered(t *testing.T) {
	t.Parallel()
	c := pipe(t, plain, func(p *peer) {
		sub := p.subscribed()
		for i := range 40 { // more than are handed over at once
			p.message(sub, strconv.Itoa(i), "x")
		}
		f := p.next(frame.UNSUBSCRIBE)
		p.message(sub, "on its way", "x")
		p.receipt(f)
		p.message(sub, "a late one", "x")
		p.confirm()
	})
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/queue/q"})
	receive(t, s)
	for range 2 { // the second time changes nothing
		if err := s.Unsubscribe(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if m, ok := <-s.Messages(); ok {
		t.Errorf("got %s", m.ID)
	}
	if err := c.Disconnect(soon(t)); err != nil {
		t.Error(err)
	}
	if err := c.Err(); !errors.Is(err, stomp.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}
