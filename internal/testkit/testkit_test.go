package testkit_test

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"tfpilot/internal/testkit"
)

func TestAtNobodysAddressConnectionsAreRefusedAsLongAsTheTestRuns(t *testing.T) {
	t.Parallel()
	addr := testkit.Nobody(t)
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	if _, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else may have the port: %v", err)
	}
}

func TestAwaitLooksUntilItIsSo(t *testing.T) {
	t.Parallel()
	var looked atomic.Int32
	testkit.Await(t, "the tenth look", func() bool { return looked.Add(1) == 10 })
	if n := looked.Load(); n != 10 {
		t.Errorf("looked %d times", n)
	}
}
