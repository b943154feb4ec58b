package testbed

import (
	"context"
	"fmt"
	"time"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// Sweeping a queue is over when nothing has come for sweepQuiet, or after sweepLimit.
const (
	sweepQuiet = 500 * time.Millisecond
	sweepLimit = 20 * time.Second
)

// sweep takes from a broker that is not ours what chaos has left in its queues: copies for consumers that were not there, and
// slices of nobody.
func (c *chaos) sweep(ctx context.Context) {
	if c.cfg.Broker == "" || c.link == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepLimit)
	defer cancel()
	for _, queue := range []string{
		message.QueueSlicesWorkers, message.QueueSlicesIDDS, message.QueueResultsFast, message.QueueResultsWorker, message.QueueResultsIDDS,
	} {
		c.sweepQueue(ctx, queue)
	}
}

func (c *chaos) sweepQueue(ctx context.Context, queue string) {
	ours := c.link.Subscribe(stomp.SubscribeOptions{
		Destination: queue, Selector: fmt.Sprintf("namespace='%s' OR namespace='%s'", c.namespace, c.foreign), Ack: "auto",
	})
	defer func() { _ = ours.Close(ctx) }() // the link ends with us
	select {
	case <-ours.Ready():
	case <-ctx.Done():
		return
	}
	for {
		quiet, cancel := context.WithTimeout(ctx, sweepQuiet)
		_, err := ours.Next(quiet)
		cancel()
		if err != nil {
			return
		}
	}
}
