package conformance_test

import (
	"context"
	"net"
	"testing"
	"time"

	"tfpilot/internal/e2e/conformance"
	"tfpilot/internal/stompd"
)

func TestTheEmbeddedBrokerDoesWhatArtemisDoes(t *testing.T) {
	t.Parallel()
	conformance.Run(t, embedded(t, conformance.Artemis, stompd.Config{}))
}

func TestTheEmbeddedBrokerDoesWhatClassicDoesInItsMode(t *testing.T) {
	t.Parallel()
	conformance.Run(t, embedded(t, conformance.Classic, stompd.Config{Mode: stompd.Classic}))
}

// embedded is the embedded broker with a login.
func embedded(t *testing.T, mode conformance.Mode, cfg stompd.Config) conformance.Broker {
	t.Helper()
	cfg.HeartBeat = 500 * time.Millisecond // Artemis agrees to whatever a client promises, down to this
	cfg.FanOut = stompd.DefaultFanOut()
	cfg.FanOut[conformance.HiddenTopic] = []string{conformance.HiddenQueue}
	cfg.Hidden = []string{conformance.HiddenQueue}
	cfg.Users = map[string]string{"panda": "panda"}
	b, err := stompd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conformance.Broker{
		Mode: mode, Addr: l.Addr().String(), Login: "panda", Passcode: "panda", Quiet: 50 * time.Millisecond,
	}
}
