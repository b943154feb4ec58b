package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/testbed"
	"tfpilot/internal/testkit"
)

var (
	must = testkit.Must
	soon = testkit.Soon
)

const (
	namespace = "e2e"
	run       = "100001"
)

// chain is programs of one test, in its own folder, and a line of the test's own to their broker.
type chain struct {
	*testbed.Chain

	link *broker.Link
}

// newChain starts a broker.
func newChain(tb testing.TB) *chain {
	tb.Helper()
	stack, err := testbed.NewStack(tb.TempDir(), bin(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(stack.StopAll)
	c := &chain{}
	if c.Chain, err = testbed.NewChain(tb.Context(), stack, namespace); err != nil {
		tb.Fatal(err)
	}
	c.link, err = broker.New(broker.Config{Addrs: []string{c.Broker}})
	if err != nil {
		tb.Fatal(err)
	}
	background(tb, c.link.Run)
	return c
}

// background runs something until the test ends.
func background(tb testing.TB, fn func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
}

// brokerFile is a broker configuration for pilots without idds.
func brokerFile(tb testing.TB, stack *testbed.Stack, addr, login, passcode string) string {
	tb.Helper()
	entry := func(name, destination string) string {
		return fmt.Sprintf("[%s]\ndestination = %q\nbrokers = [%q]\nusername = %q\npassword = %q\n", name, destination, addr, login, passcode)
	}
	path := stack.Path("broker.toml")
	text := entry("transformer_broker", message.QueueSlicesWorkers) + entry("transformer_broadcast_broker", message.TopicTransformer) +
		entry("result_broker", message.TopicResults)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// slice is slice number n of the run.
func slice(n int, edit ...func(*message.SliceContent)) message.Slice {
	now := message.At(time.Now())
	m := message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: now, Sender: "e2e", Namespace: namespace,
		Content: message.SliceContent{
			RunID: message.Run(run), ReqID: message.Text(uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(n))).String()),
			Filename: "none.stf", TFFilename: "none.tf", SliceID: message.NewInt(int64(n)), Start: message.NewInt(0), End: message.NewInt(9),
			TFCount: message.NewInt(10), State: "queued", Substate: "new", Attempt: message.NewInt(1), FirstCreatedAt: now,
		},
	}
	for _, e := range edit {
		e(&m.Content)
	}
	return m
}

// publish sends a document as a slice of a namespace.
func (c *chain) publish(tb testing.TB, m message.Slice) {
	tb.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	c.publishBody(tb, body)
}

func (c *chain) publishBody(tb testing.TB, body []byte) {
	tb.Helper()
	if err := c.link.Publish(soon(tb), broker.Out{
		Destination: message.TopicSlices, Body: body,
		Headers: []string{"persistent", "true", "msg_type", message.TypeSlice, "run_id", run, "namespace", namespace},
	}); err != nil {
		tb.Fatal(err)
	}
}

// results is a consumer of the results that fast processing would get.
func (c *chain) results(tb testing.TB) *broker.Consumer {
	tb.Helper()
	consumer := c.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueResultsFast, Window: 1 << 20})
	tb.Cleanup(func() { _ = consumer.Close(context.Background()) })
	return consumer
}

// next waits for a result and acknowledges it.
func next(tb testing.TB, c *broker.Consumer) message.SliceResult {
	tb.Helper()
	d, err := c.Next(soon(tb))
	if err != nil {
		tb.Fatalf("waiting for a result: %v", err)
	}
	m, err := message.Decode[message.SliceResult](d.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if err := d.Ack(soon(tb)); err != nil {
		tb.Fatal(err)
	}
	return m
}
