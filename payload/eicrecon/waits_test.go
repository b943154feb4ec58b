package eicrecon_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
)

func TestADaemonThatDiesAgainAndAgainIsWaitedFor(t *testing.T) {
	t.Parallel()
	pl := here(t).open(t)
	for range 2 {
		started, err := pl.payload.Prepare(t.Context(), pl.slot)
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pl.daemons() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-started.Gone
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, err := pl.payload.Prepare(ctx, pl.slot); exitcode.From(err) != exitcode.Interrupted {
			t.Error(err)
		}
	}
	if n := pl.started.Load(); n != 2 {
		t.Errorf("%d daemons", n)
	}
}

func TestTheEndOfADaemonIsWaitedForAsLongAsThereIsTime(t *testing.T) {
	t.Parallel()
	s := here(t)
	s.spec.Env = map[string]string{"EICRECON_FAULT": "stubborn"}
	s.spec.Grace = time.Hour
	pl := s.open(t)
	if _, err := pl.payload.Prepare(t.Context(), pl.slot); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the slot's time is over"))
	if err := pl.payload.Close(ctx); err == nil || !strings.Contains(err.Error(), "the slot's time is over") {
		t.Error(err)
	}
	for _, pid := range pl.daemons() { // its grace is long
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
