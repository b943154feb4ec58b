package stompd_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/stompframe"
	"tfpilot/internal/testkit"
)

// FuzzClient looks for what a client can say that ends the broker, or costs another client its message.
func FuzzClient(f *testing.F) {
	const hello = "CONNECT\naccept-version:1.2\nclient-id:c\nheart-beat:0,0\n\n\x00"
	for _, s := range []string{
		"SUBSCRIBE\nid:1\ndestination:/queue/panda.slices.transformer\nack:client-individual\nselector:a='b' OR a IS NULL\nconsumer-window-size:0\n\n\x00",
		"SUBSCRIBE\nid:1\ndestination:/topic/t\ndurable-subscription-name:d\n\n\x00UNSUBSCRIBE\nid:1\n\n\x00",
		"BEGIN\ntransaction:t\n\n\x00SEND\ndestination:/queue/q\ntransaction:t\n\nx\x00COMMIT\ntransaction:t\nreceipt:r\n\n\x00",
		"SEND\ndestination:/topic/panda.slices\n_AMQ_DUPL_ID:1\nexpires:1\npersistent:true\n\nx\x00ACK\nid:1,1\n\n\x00",
		"SEND\ndestination:own\ndestination-type:ANYCAST\n\nx\x00SUBSCRIBE\nid:2\ndestination:own\nack:client\n\n\x00NACK\nid:2,2\n\n\x00DISCONNECT\nreceipt:1\n\n\x00",
	} {
		f.Add(byte(0), []byte(hello+s))
		f.Add(byte(1), []byte(hello+s))
	}
	f.Add(byte(0), []byte("STOMP\naccept-version:1.1\n\n\x00"))
	f.Fuzz(func(t *testing.T, mode byte, said []byte) {
		cfg := stompd.Config{Queues: []string{"/queue/q"}, Limits: stompframe.Limits{HeaderBytes: 1 << 10, BodyBytes: 1 << 10}}
		if mode%2 == 1 {
			cfg.Mode = stompd.Classic
		}
		b, err := stompd.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ln := make(pipes)
		dial := func() net.Conn {
			ours, theirs := net.Pipe()
			ln <- theirs
			return ours
		}
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		var served sync.WaitGroup
		served.Go(func() {
			if err := b.Serve(ctx, ln); err != nil {
				t.Error(err)
			}
		})
		defer served.Wait()
		defer cancel()

		rude := dial()
		var heard sync.WaitGroup
		heard.Go(func() { _, _ = io.Copy(io.Discard, rude) })
		_, _ = rude.Write(said) // returns when the broker has read it, or hung up
		// Another one is served meanwhile, on an address that the first did not know.
		c, err := stomp.NewConn(ctx, dial(), stomp.Config{HeartBeatSend: -1, HeartBeatReceive: -1})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Subscribe(ctx, stomp.SubscribeOptions{Destination: "/topic/of another"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Send(ctx, "/topic/of another", []byte("x"))
		if err == nil {
			err = r.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		if m := <-s.Messages(); m == nil || string(m.Body) != "x" {
			t.Errorf("got %v", m)
		}
		_ = c.Close()
		_ = rude.Close()
		heard.Wait()
	})
}
