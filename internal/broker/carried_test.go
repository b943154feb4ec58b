package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

func TestAMessageGoesOutWhateverItsHeadersAreToSay(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := l.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1 << 20})
	long := strings.Repeat("é", 1<<17)
	seen := map[string]bool{}
	for _, said := range []string{"7", "7\x00", long + "a", long + "b"} {
		out := broker.Out{Destination: message.TopicSlices, Body: []byte("x"), Headers: []string{"run_id", said}, DuplicateID: said}
		if err := l.Publish(ctx, out); err != nil {
			t.Fatalf("%.10q: %v", said, err)
		}
		d, err := c.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen[d.Header.Get("run_id")] = true
		if err := d.Ack(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !seen["7"] || !seen["7\u2400"] || len(seen) != 4 {
		t.Errorf("%d different headers of 4", len(seen))
	}
}
