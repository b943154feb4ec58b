//go:build integration

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/stomp"
)

// ownBroker is a real Artemis of one test, which may break it.
type ownBroker struct {
	tb    testing.TB
	addr  string
	state string
}

// newOwnBroker starts one, where there are real brokers at all.
func newOwnBroker(t *testing.T) *ownBroker {
	t.Helper()
	artemis(t) // skips
	b := &ownBroker{tb: t, state: filepath.Join(t.TempDir(), "services")}
	t.Cleanup(func() { b.script("down") })
	b.start("0")
	return b
}

func (b *ownBroker) script(command string, env ...string) string {
	b.tb.Helper()
	cmd := exec.Command("../../scripts/services.sh", command, "artemis") //nolint:noctx // it bounds itself
	cmd.Env = append(append(os.Environ(), "TFPILOT_SERVICES="+b.state), env...)
	out, err := cmd.Output()
	if err != nil {
		b.tb.Fatalf("services %s: %v", command, err)
	}
	return strings.TrimSpace(string(out))
}

func (b *ownBroker) start(port string) {
	b.tb.Helper()
	_, b.addr, _ = strings.Cut(b.script("up", "TFPILOT_ARTEMIS_PORT="+port), "=")
}

// kill ends it as a crash does; again starts it on the same port and the same state.
func (b *ownBroker) kill() {
	b.tb.Helper()
	text, err := os.ReadFile(filepath.Join(b.state, "artemis", "pid"))
	must(b.tb, err)
	group, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(b.tb, err)
	must(b.tb, syscall.Kill(-group, syscall.SIGKILL))
	await(b.tb, "the end of the broker", func() bool {
		nc, err := net.Dial("tcp", b.addr) //nolint:noctx // a port of this machine
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
}

func (b *ownBroker) again() {
	b.tb.Helper()
	_, port, err := net.SplitHostPort(b.addr)
	must(b.tb, err)
	b.start(port)
}

// manage calls operations of the broker, each given with its arguments, and returns the last answer.
func (b *ownBroker) manage(operations ...[]any) (last string) {
	b.tb.Helper()
	for _, op := range operations {
		body, err := json.Marshal(op[1:])
		must(b.tb, err)
		last = b.ask(body, "_AMQ_ResourceName", "broker", "_AMQ_OperationName", fmt.Sprint(op[0]))
	}
	return last
}

// attribute is what the broker says of one of its parts.
func (b *ownBroker) attribute(resource, name string) string {
	b.tb.Helper()
	return b.ask([]byte("[]"), "_AMQ_ResourceName", resource, "_AMQ_Attribute", name)
}

func (b *ownBroker) ask(body []byte, headers ...string) string {
	b.tb.Helper()
	conn, err := stomp.Dial(soon(b.tb), b.addr, stomp.Config{Login: "admin", Passcode: "admin"})
	must(b.tb, err)
	defer func() { _ = conn.Close() }()
	answers, err := conn.Subscribe(soon(b.tb), stomp.SubscribeOptions{Destination: "e2e.answers", Ack: "auto"})
	must(b.tb, err)
	_, err = conn.Send(soon(b.tb), "activemq.management", body, append([]string{"reply-to", "e2e.answers"}, headers...)...)
	must(b.tb, err)
	m := <-answers.Messages()
	if m == nil || m.Header.Get("_AMQ_OperationSucceeded") != "true" {
		b.tb.Fatalf("%s %v: %+v", body, headers, m)
	}
	return string(m.Body)
}
