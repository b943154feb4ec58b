// Package testkit is what the tests of many packages need: a wait for what has no event of its own, a bound for what has one, an
// end at the first error, and an address at which nobody listens. Only tests import it.
package testkit

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Patience is how long a test waits for what has to come. It measures nothing: on a machine that does ten other things at once, with
// the race detector, what takes a moment elsewhere takes a minute; only what never comes takes all of it.
const Patience = 3 * time.Minute

// TB is a test, a benchmark, or one try of a property.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(fn func())
	Context() context.Context
}

// Must ends the test at an error.
func Must(tb TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Soon is a context for what has to end by itself.
func Soon(tb TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}

// Await looks again and again until something is so, at first often.
func Await(tb TB, what string, so func() bool) {
	tb.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	for pause := time.Millisecond; !so(); pause = min(2*pause, 20*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-late.C:
			tb.Fatalf("waited %s for %s", Patience, what)
		}
	}
}

// Nobody is an address at which connections are refused: its port is taken, so that nobody else gets it, and nobody listens.
func Nobody(tb TB) (addr string) {
	tb.Helper()
	_, addr = Bound(tb)
	return addr
}

// Bound takes a port of the loopback interface until the test ends.
func Bound(tb TB) (fd int, addr string) {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	Must(tb, err)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	Must(tb, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	Must(tb, err)
	in, ok := at.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("bound to %v", at)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", in.Port)
}
