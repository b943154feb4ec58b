//go:build integration

package e2e_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/testbed/chaos"
)

// A short one: `testbed chaos --broker` has all faults, docs/chaos.md the table of all of them on this broker.
func TestIntegrationArtemisChaosAccountsForEverySlice(t *testing.T) {
	t.Parallel()
	p := artemis(t)
	passcode := filepath.Join(t.TempDir(), "passcode")
	must(t, os.WriteFile(passcode, []byte(p.passcode), 0o600))
	faults := []string{"kill-pilot", "reset-links", "half-open-up", "junk"}
	report, err := chaos.Run(t.Context(), chaos.Config{
		Out: filepath.Join(t.TempDir(), "chaos"), Slices: 100, Faults: faults, Broker: p.addr, Login: p.login, PasscodeFile: passcode,
		HeartBeat: 1500 * time.Millisecond, RecoverLimit: time.Minute, // how fast it is, is not the question here
	}, bin(t), io.Discard)
	if err != nil {
		t.Error(err)
	}
	if !report.BrokerAbsorbs || len(report.Rows) != len(faults) {
		t.Errorf("%+v", report)
	}
	nothingSubscribed(t, p, report.Namespace)
	for _, row := range report.Rows {
		if row.LeftOut != "" || row.Times == 0 || row.Done != 100 || row.Copies != 0 {
			t.Errorf("%+v", row)
		}
	}
}

// nothingSubscribed checks that the broker keeps nothing for the idds of a namespace that is gone.
func nothingSubscribed(t *testing.T, p *production, namespace string) {
	t.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{p.addr}, Login: p.login, Passcode: p.passcode, ClientID: namespace + ".idds"})
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- link.Run(ctx) }()
	defer func() {
		cancel()
		must(t, <-ended)
	}()
	publish := func(text string) {
		must(t, link.Publish(soon(t), broker.Out{Destination: message.TopicWorkers, Body: []byte(text), Headers: []string{"namespace", namespace}}))
	}
	publish("before")
	runs := link.Subscribe(stomp.SubscribeOptions{
		Destination: message.TopicWorkers, Selector: "namespace='" + namespace + "'", Headers: []string{"durable-subscription-name", "runs"},
	})
	<-runs.Ready()
	publish("after")
	d, err := runs.Next(soon(t))
	must(t, err)
	if string(d.Body) != "after" {
		t.Errorf("the broker had kept %q", d.Body)
	}
	must(t, d.Ack(soon(t)))
}
