package stomp_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"tfpilot/internal/stomp"
)

// FuzzBroker looks for what a broker can say that the session does not survive: it may end, with a reason, but neither panic nor
// hang, and what it hands on as a message has to be one.
func FuzzBroker(f *testing.F) {
	const hello = "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\x00"
	for _, s := range []string{
		"", "\n\n", "RECEIPT\nreceipt-id:1\n\n\x00RECEIPT\nreceipt-id:2\n\n\x00", "ERROR\nmessage:no\n\nno\x00",
		"RECEIPT\nreceipt-id:1\n\n\x00MESSAGE\nsubscription:1\nmessage-id:7\nack:7\ndestination:/queue/q\ncontent-length:1\n\nx\x00",
		"MESSAGE\nsubscription:nobody's\nmessage-id:7\n\n\x00", "RECEIPT\nreceipt-id:99\n\n\x00", "CONNECTED\n\n\x00", "garbage",
	} {
		f.Add([]byte(hello + s))
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte("CONNECTED\nversion:1.1\nheart-beat:1,1\n\n\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		var broker sync.WaitGroup
		defer broker.Wait()
		broker.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
		broker.Go(func() {
			_, _ = theirs.Write(said)
			_ = theirs.Close()
		})
		c, err := stomp.NewConn(t.Context(), ours, stomp.Config{MaxHeaderBytes: 1 << 10, MaxBodyBytes: 1 << 10})
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // it has ended
		s, err := c.Subscribe(t.Context(), stomp.SubscribeOptions{Destination: "/queue/q", Window: 1})
		if err == nil {
			for m := range s.Messages() {
				if m.ID == "" {
					t.Errorf("a message without id: %v", m.Header)
				}
				_, _ = c.Ack(t.Context(), m)
			}
		}
		if r, err := c.Send(t.Context(), "/queue/q", nil); err == nil {
			_ = r.Wait(t.Context())
		}
		<-c.Done()
		if c.Err() == nil {
			t.Error("ended without a reason")
		}
	})
}
