package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// A broker for which nobody has thought of a folder loses nothing either.
func TestABrokerKeepsItsMessagesWhereItIsStarted(t *testing.T) {
	t.Parallel()
	dir, testbed := t.TempDir(), filepath.Join(bin(t), "testbed")
	publish := func(l *broker.Link, body string) {
		must(t, l.Publish(soon(t), broker.Out{Destination: message.TopicSlices, Body: []byte(body), Headers: []string{"persistent", "true"}}))
	}
	start := func(args ...string) (*broker.Link, func()) {
		file := filepath.Join(dir, "address")
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), testbed, append([]string{"broker", "--listen", "127.0.0.1:0", "--address-file", file}, args...)...)
		cmd.Dir = dir
		must(t, cmd.Start())
		kill := func() { _, _ = cmd.Process.Kill(), cmd.Wait() }
		t.Cleanup(kill)
		var addr []byte
		await(t, "the broker's address", func() bool {
			addr, _ = os.ReadFile(file)
			return len(addr) > 0
		})
		l, err := broker.New(broker.Config{Addrs: []string{string(bytes.TrimSpace(addr))}})
		must(t, err)
		background(t, l.Run)
		return l, kill
	}
	l, kill := start()
	publish(l, "kept")
	kill()
	l, kill = start()
	publish(l, "the next")
	c := l.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	for _, want := range []string{"kept", "the next"} {
		d, err := c.Next(soon(t))
		must(t, err)
		if string(d.Body) != want {
			t.Errorf("got %q, want %q", d.Body, want)
		}
		must(t, d.Ack(soon(t)))
	}
	kill()
	must(t, os.RemoveAll(filepath.Join(dir, "broker-state")))
	l, _ = start("--in-memory")
	publish(l, "gone with the broker")
	if entries, err := os.ReadDir(filepath.Join(dir, "broker-state")); !os.IsNotExist(err) {
		t.Errorf("in memory there is %v, %v", entries, err)
	}
}
