package program_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/program"
)

// manager listens as systemd does; its callers are not parallel, for a process has one environment.
func manager(t *testing.T) (hear func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		b := make([]byte, 4096)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestAServiceManagerHearsOfReadinessLifeAndTheEnd(t *testing.T) {
	hear := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	m := program.ServiceManager()
	m.Status("opening\nthe store")
	if got := hear(); got != "STATUS=opening; the store" {
		t.Errorf("%q", got)
	}
	m.Ready()
	if got := hear(); got != "READY=1" {
		t.Errorf("%q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, func() string { return "all is well" }) }()
	for range 3 { // again and again, also when nothing has changed
		if got := hear(); got != "WATCHDOG=1\nSTATUS=all is well" {
			t.Errorf("%q", got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for got := hear(); !strings.HasPrefix(got, "STOPPING=1\n"); got = hear() {
		if !strings.HasPrefix(got, "WATCHDOG=1\n") {
			t.Errorf("%q", got)
		}
	}
}

func TestWithoutAServiceManagerNothingIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m := program.ServiceManager()
	m.Ready()
	if err := m.Run(t.Context(), func() string { t.Error("somebody asks"); return "" }); err != nil { // does not wait for the end of the context
		t.Error(err)
	}
}
