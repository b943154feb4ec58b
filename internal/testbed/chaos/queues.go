package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

const (
	// probeLimit is how long a message may take from a topic to its queues, on a machine that is busy.
	probeLimit = 10 * time.Second
	// A queue is empty when nothing has come for quiet; taking what is in it ends after sweepLimit.
	quiet      = 500 * time.Millisecond
	sweepLimit = 20 * time.Second
)

// bindings are the topics with what has to hear of each message.
var bindings = []struct{ topic, hearer string }{
	{message.TopicSlices, message.QueueSlicesWorkers},
	{message.TopicSlices, message.QueueSlicesIDDS},
	{message.TopicResults, message.QueueResultsFast},
	{message.TopicResults, message.QueueResultsIDDS},
	{message.TopicWorkers, message.TopicWorkers},
	{message.TopicTransformer, message.TopicTransformer},
}

// probe finds out whether the broker is there and has every binding, before anything is built on it, and whether it drops the
// second of two messages with one _AMQ_DUPL_ID, as Artemis does.
func (c *chaos) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeLimit, errNotHeard)
	defer cancel()
	if err := c.connected(ctx); err != nil {
		return err
	}
	namespace := c.namespace + "-probe"
	hearers := make([]*broker.Consumer, len(bindings))
	for i, b := range bindings {
		hearers[i] = c.link.Subscribe(stomp.SubscribeOptions{Destination: b.hearer, Ack: "auto", Selector: "namespace='" + namespace + "'"})
		defer hearers[i].Close(context.WithoutCancel(ctx)) //nolint:errcheck // the link ends with us
		select {
		case <-hearers[i].Ready():
		case <-ctx.Done():
			_, err := hearers[i].Next(ctx) // says what the broker said
			return notHeard(ctx, c.chain.Broker, b.topic, b.hearer, err)
		}
	}
	sent := map[string]bool{}
	for _, b := range bindings {
		for n := 0; n < 2 && !sent[b.topic]; n++ {
			if err := c.link.Publish(ctx, broker.Out{
				Destination: b.topic, Body: []byte(`{"msg_type":"probe"}`), DuplicateID: "probe/" + namespace,
				Headers: []string{"namespace", namespace, "msg_type", "probe"},
			}); err != nil {
				return err
			}
		}
		sent[b.topic] = true
	}
	for i, b := range bindings {
		if _, err := hearers[i].Next(ctx); err != nil {
			return notHeard(ctx, c.chain.Broker, b.topic, b.hearer, err)
		}
	}
	again, err := took(ctx, hearers[0])
	c.absorbs = len(again) == 0
	return err
}

var errNotHeard = errors.New("nothing came")

// connected waits for our link to the broker.
func (c *chaos) connected(ctx context.Context) error {
	for {
		changed := c.link.Changed()
		state := c.link.State()
		switch {
		case state.Connected:
			return nil
		case exitcode.From(state.Err) == exitcode.BrokerRefused:
			return state.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotHeard) && state.Err != nil {
				return state.Err
			}
			return exitcode.New(exitcode.NoBroker, "waiting for the broker on %s: %w", c.chain.Broker, context.Cause(ctx))
		}
	}
}

// notHeard says what the broker lacks.
func notHeard(ctx context.Context, addr, topic, hearer string, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errNotHeard) {
		return context.Cause(ctx)
	}
	return exitcode.WithNext(
		exitcode.New(exitcode.BadConfig, "the broker on %s does not bring what is sent to %s to a subscriber of %s: %w", addr, topic, hearer, err),
		"docs/brokers.md says how to set up a broker")
}

// took takes messages until none has come for a while.
func took(ctx context.Context, from *broker.Consumer) (bodies [][]byte, err error) {
	for {
		limited, cancel := context.WithTimeoutCause(ctx, quiet, errNotHeard)
		d, err := from.Next(limited)
		cancel()
		switch {
		case err == nil:
			bodies = append(bodies, d.Body)
		case errors.Is(err, errNotHeard) && ctx.Err() == nil:
			return bodies, nil
		default:
			return bodies, err
		}
	}
}

// take takes what a queue holds of a namespace.
func (c *chaos) take(ctx context.Context, queue, namespace string) (bodies [][]byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepLimit)
	defer cancel()
	from := c.link.Subscribe(stomp.SubscribeOptions{Destination: queue, Ack: "auto", Selector: "namespace='" + namespace + "'"})
	defer from.Close(ctx) //nolint:errcheck // the link ends with us
	select {
	case <-from.Ready():
	case <-ctx.Done():
		return nil, exitcode.New(exitcode.NoBroker, "looking into %s: %w", queue, context.Cause(ctx))
	}
	return took(ctx, from)
}

// foreignKept is what is wrong with the slices of others that were published during the run: they have to be where they were.
func (c *chaos) foreignKept(ctx context.Context) ([]string, error) {
	if c.sent == 0 {
		return nil, nil
	}
	queues := []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS}
	if c.absorbs { // as on Artemis
		queues = append(queues, deadLetters)
	}
	var problems []string
	for _, queue := range queues {
		bodies, err := c.take(ctx, queue, c.foreign)
		if err != nil {
			return problems, err
		}
		if n := len(bodies); n != c.sent {
			problems = append(problems, fmt.Sprintf("%d of %d messages of others left in %s", n, c.sent, queue))
		}
	}
	return problems, nil
}

// remains is what is still in the broker's queues when all programs have ended. It takes it away: a broker that is not ours
// is left as it was.
func (c *chaos) remains(ctx context.Context) (problems []string) {
	queues := []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS, message.QueueResultsFast, message.QueueResultsIDDS}
	if c.absorbs { // as on Artemis
		queues = append(queues, deadLetters)
	}
	for _, queue := range queues {
		bodies, err := c.take(ctx, queue, c.namespace)
		if err != nil {
			return append(problems, err.Error())
		}
		if left := messages(bodies); len(left) > 0 {
			problems = append(problems, fmt.Sprintf("%d messages left in %s: %s", len(left), queue, strings.Join(left, ", ")))
		}
		if _, err := c.take(ctx, queue, c.foreign); err != nil {
			return append(problems, err.Error())
		}
	}
	return problems
}

// messages says which slices and results there are among the bodies. Junk that came while the last pilots were leaving is nobody's
// loss: it waits for the next one, which absorbs it.
func messages(bodies [][]byte) []string {
	var out []string
	for _, body := range bodies {
		if m, err := message.Decode[message.Slice](body); err == nil {
			out = append(out, fmt.Sprintf("slice %s, attempt %d, of run %s", m.Content.Identity(), m.Content.AttemptNumber(), m.Run()))
		} else if r, err := message.Decode[message.SliceResult](body); err == nil {
			out = append(out, fmt.Sprintf("result of slice %s, attempt %d, %s", r.Identity(), r.Content.Attempt.Int64(), r.Content.State))
		}
	}
	return out
}
