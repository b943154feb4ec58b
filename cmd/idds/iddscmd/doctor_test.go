package iddscmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/idds/doctor"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

func TestTheDoctorExaminesARunningService(t *testing.T) {
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"))
	in.publish(t, message.TopicResults, result("slice-a", nil))
	in.publish(t, message.TopicTransformer, message.StopTransformer{
		MsgType: message.TypeStopTransformer, RunID: message.Run("100001"), Sender: "agent-7", Namespace: "default",
	})
	until(t, "the result and the second actor", func() bool {
		return strings.Contains(in.log.String(), "agent-7") && strings.Contains(columns(in.ask(t, "runs").stdout), "100001 open 1 1 0 0")
	})
	address := filepath.Join(t.TempDir(), "address")
	must(t, os.WriteFile(address, []byte(strings.TrimPrefix(in.url, "http://")), 0o600))
	args := []string{"doctor", "--state", in.state, "--broker-addr", in.broker, "--address-file", address}
	o := command(t, args...)
	o.mustSay(t, 0, "one works on this state and answers at "+in.url, `"agent-7" does the duty stop`, "do: end it, or give it the duty: --stop-sender other",
		"schema 8", "1 run, 1 slice", "needed are 0.1 results/s", "a message arrives", "clock of the broker")
	var report doctor.Report
	o = command(t, append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil || !report.OK || len(report.Checks) < 15 {
		t.Errorf("%v: %s", err, o.stdout)
	}
	if o = command(t, append(args, "--output", "quiet")...); strings.Contains(o.stdout, "arrives") || !strings.HasPrefix(o.stdout, "namespace\n") {
		t.Errorf("%q", o.stdout)
	}
	args = args[:len(args)-2]
	t.Setenv("TFPILOT_IDDS", "")
	command(t, args...).mustSay(t, 0, "one works on this state", "http://127.0.0.1:8443") // where another idds may answer
	nobody := testkit.Nobody(t)
	command(t, append(args, "--listen", nobody)...).mustSay(t, 41, "http://"+nobody+" does not answer")
	t.Setenv("TFPILOT_IDDS", in.url)
	command(t, args...).mustSay(t, 0, "one works on this state and answers at "+in.url)
	in.stop()
	command(t, args...).mustSay(t, 0, "none works on this state", `"agent-7" does the duty stop`) // from the store
}

func TestTheDoctorSaysWhatIsWrongWithItsStatus(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	addr, _ := embeddedBroker(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "idds.db"), []byte(strings.Repeat("this is no database ", 100)), 0o600))
	ca := filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(ca, []byte("no certificate"), 0o600))
	none := filepath.Join(dir, "none")
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name   string
		status int
		want   string
		args   []string
	}{
		{"no broker named", 51, "no broker address given (bad_config: name one, such as --broker-addr", nil},
		{"no broker there", 40, "broker", []string{"--broker-addr", testkit.Nobody(t)}},
		{"an address without a port", 51, "not host:port", []string{"--broker-addr", "broker.example.org"}},
		{"a broken store", 43, "idds.db", []string{"--broker-addr", addr, "--state", dir}},
		{"a broker without TLS", 40, "TLS", []string{"--broker-addr", addr, "--broker-tls", "--state", none}},
		{"authorities without TLS", 51, "--broker-tls", []string{"--broker-addr", addr, "--broker-ca-file", ca, "--state", none}},
		{"authorities that are none", 51, "holds no certificate", []string{"--broker-addr", addr, "--broker-tls", "--broker-ca-file", ca, "--state", none}},
		{"a duty of nobody", 64, "--stop-sender", []string{"--broker-addr", addr, "--stop-sender", "x", "--state", none}},
		{"no duty at all", 0, "can be started", []string{"--broker-addr", addr, "--state", none}},
	} {
		t.Run(c.name, func(t *testing.T) {
			command(t, append([]string{"doctor", "--probe-limit", "300ms", "--broker-dial-limit", "1s"}, c.args...)...).mustSay(t, c.status, c.want)
		})
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("the doctor made a state folder")
	}
}
