package broker

import (
	"context"
	"errors"
	"fmt"

	"tfpilot/internal/stomp"
)

// ErrStale is returned by an acknowledgement that has no effect: the connection that delivered the message is gone, or its
// consumer is closed, and the message is the broker's again.
var ErrStale = errors.New("the message is the broker's again")

// Delivery is a message with the connection that it came on.
type Delivery struct {
	*stomp.Message
	// Generation is the number of that connection.
	Generation uint64
	conn       *stomp.Conn
}

// Ack acknowledges, and returns nil after the broker's receipt. ErrStale says that the broker will deliver the message again,
// or has done so already; when the context ends first, nobody knows. There is no NACK: Artemis discards the message then.
func (d *Delivery) Ack(ctx context.Context) error { return AckAll(ctx, d) }

// AckAll acknowledges several messages in the time of one: a receipt for all that came on a connection. Its error is the first, of the
// kinds that Ack has; the others are acknowledged all the same.
func AckAll(ctx context.Context, deliveries ...*Delivery) error {
	var receipts []*stomp.Receipt
	var first error
	note := func(err error) {
		if err == nil || first != nil {
			return
		}
		if ctx.Err() == nil || errors.Is(err, stomp.ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrStale, err)
		}
		first = fmt.Errorf("acknowledging: %w", err)
	}
	for len(deliveries) > 0 {
		conn := deliveries[0].conn
		var messages []*stomp.Message
		for len(deliveries) > 0 && deliveries[0].conn == conn { // nearly always all of them
			messages = append(messages, deliveries[0].Message)
			deliveries = deliveries[1:]
		}
		r, err := conn.Ack(ctx, messages...)
		note(err)
		if r != nil {
			receipts = append(receipts, r)
		}
	}
	for _, r := range receipts {
		note(r.Wait(ctx))
	}
	return first
}
