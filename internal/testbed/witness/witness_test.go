package witness_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testbed/witness"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a witness on a broker of its own, and the link that it is on.
func setup(t *testing.T) (*witness.Witness, *broker.Link) {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local port
	must(t, err)
	link, err := broker.New(broker.Config{Addrs: []string{ln.Addr().String()}})
	must(t, err)
	w := witness.New(link, "ours", "theirs")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	for _, run := range []func() error{
		func() error { return b.Serve(ctx, ln) }, func() error { return link.Run(ctx) }, func() error { return w.Run(ctx) },
	} {
		go func() { ended <- run() }()
	}
	t.Cleanup(func() {
		cancel()
		for range 3 {
			must(t, <-ended)
		}
		w.Wait()
	})
	return w, link
}

func result(namespace, id, state string) string {
	return fmt.Sprintf(`{"msg_type":"slice_result","run_id":"7","namespace":%q,"content":{"state":%q,"req_id":%q,"result":{"state":true,"result":{}}}}`,
		namespace, state, id)
}

// send sends a result to the broker as a pilot does, heard by an ear, in pieces of one byte.
func send(t *testing.T, ear io.Writer, link *broker.Link, namespace, id, state, duplicate string) {
	t.Helper()
	body := result(namespace, id, state)
	for _, b := range []byte("SEND\ndestination:" + message.TopicResults + "\n\n" + body + "\x00\n") {
		_, err := ear.Write([]byte{b})
		must(t, err)
	}
	must(t, link.Publish(t.Context(), broker.Out{
		Destination: message.TopicResults, Body: []byte(body), DuplicateID: duplicate, Headers: []string{"namespace", namespace},
	}))
}

// sees waits until so many results have come.
func sees(t *testing.T, w *witness.Witness, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	_, err := w.Await(ctx, "7", n)
	must(t, err)
}

func TestItKnowsWhatCameTwiceAndWhatTheBrokerHasAbsorbed(t *testing.T) {
	t.Parallel()
	w, link := setup(t)
	ear := w.Ear()
	send(t, ear, link, "ours", "a", "done", "a")
	send(t, ear, link, "ours", "b", "failed", "b1")
	sees(t, w, 2)
	send(t, ear, link, "ours", "a", "done", "a") // absorbed
	send(t, ear, link, "ours", "b", "done", "b2")
	send(t, ear, link, "ours", "a", "done", "a") // absorbed
	sees(t, w, 3)
	send(t, ear, link, "ours", "b", "done", "b3") // a copy
	send(t, ear, link, "theirs", "c", "done", "c")
	send(t, ear, link, "ours", "d", "done", "d")
	must(t, w.AwaitDone(t.Context(), "7", 3))
	must(t, ear.Close())
	w.Wait()
	if got, want := w.Verdict("7"), (witness.Verdict{Slices: 3, Copies: 1, Absorbed: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := w.Foreign(); n != 1 {
		t.Errorf("%d results of others", n)
	}
}

func TestAResultThatIsSentAgainBeforeAnyCameIsNotAbsorbed(t *testing.T) {
	t.Parallel()
	w, link := setup(t)
	ear := w.Ear()
	for range 2 { // lost with its link
		_, err := ear.Write([]byte("SEND\ndestination:" + message.TopicResults + "\n\n" + result("ours", "a", "done") + "\x00"))
		must(t, err)
	}
	send(t, ear, link, "ours", "a", "done", "a")
	sees(t, w, 1)
	must(t, ear.Close())
	w.Wait()
	if got, want := w.Verdict("7"), (witness.Verdict{Slices: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAnEarThatHearsGarbageDoesNotHoldUpItsLink(t *testing.T) {
	t.Parallel()
	w, _ := setup(t)
	ear := w.Ear()
	for range 1000 {
		_, err := ear.Write([]byte("\x00\x00garbage:\n\n\n"))
		must(t, err)
	}
	must(t, ear.Close())
	w.Wait()
	if got := w.Verdict("7"); got != (witness.Verdict{}) {
		t.Errorf("got %+v", got)
	}
}
