package keeper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/keeper"
)

func TestWhatIsReadAndWrittenIsThatOfAllProcesses(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			// A daemon that is killed at the end counts as well.
			dir := t.TempDir()
			script := `cd ` + dir + `; head -c 3000000 /dev/zero >a; setsid sh -c 'cat a >b; echo >c; sleep 300' & while ! [ -e c ]; do sleep 0.01; done`
			res, err := k.Run(t.Context(), sh(script), keeper.Limits{})
			if err != nil || res.ReadBytes < 6_000_000 || res.ReadBytes > 60_000_000 || res.WrittenBytes < 6_000_000 || res.WrittenBytes > 6_100_000 {
				t.Errorf("%+v, %v", res, err)
			}
			res, err = k.Run(t.Context(), sh("exit 3"), keeper.Limits{})
			if err != nil || res.ReadBytes > 1_000_000 || res.WrittenBytes > 1000 {
				t.Errorf("the next program: %+v, %v", res, err)
			}
		})
	}
}

// What is started once and works on one thing after the other is measured in laps.
func TestAMeterTellsWhatARunningProgramTookSinceTheLastLap(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k, dir := keepers(t, kind), t.TempDir()
			touch := func(name string) {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Error(err)
				}
			}
			awaitFile := func(name string) {
				await(t, name, func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil })
			}
			script := strings.NewReplacer("DIR", dir, "WAIT", "while ! [ -e $n ]; do sleep 0.01; done").Replace(
				`cd DIR; n=1; WAIT; head -c 3000000 /dev/zero >a; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo >1done; n=2; WAIT; echo >2done; n=3; WAIT; exit 4`)
			var m keeper.Meter
			done := make(chan struct{})
			go func() {
				defer close(done)
				res, err := k.Run(t.Context(), sh(script), keeper.Limits{Meter: &m})
				if err != nil || res.ExitCode != 4 || res.WrittenBytes < 3_000_000 {
					t.Errorf("%+v, %v", res, err)
				}
			}()
			await(t, "the first look", func() bool { return m.Seen().Processes > 0 })
			m.Lap()
			touch("1")
			awaitFile("1done")
			if u := m.Lap(); u.WrittenBytes < 3_000_000 || u.WrittenBytes > 3_100_000 || u.CPU() == 0 || u.PeakBytes == 0 || m.OpenFiles() < 3 {
				t.Errorf("the first lap: %+v", u)
			}
			touch("2")
			awaitFile("2done")
			var second keeper.Usage
			await(t, "the second lap", func() bool { // one of less than a tick is part of the next
				second = m.Lap()
				return second.WrittenBytes > 0
			})
			if second.WrittenBytes > 1000 || second.PeakBytes == 0 {
				t.Errorf("the second lap: %+v", second)
			}
			touch("3")
			<-done
			if u := m.Seen(); u.WrittenBytes < 3_000_000 || u.Ran == 0 {
				t.Errorf("in all: %+v", u)
			}
			if u := m.Lap(); u.WrittenBytes > 1000 {
				t.Errorf("the last lap: %+v", u)
			}
		})
	}
}

func TestALapThatEndsJustAfterALookHasWhatItTook(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	var m keeper.Meter
	enough := errors.New("it has written something")
	res, err := keepers(t, keeper.Session).Run(ctx, sh("for i in $(seq 500); do echo x; sleep 0.01; done"), keeper.Limits{Meter: &m, Sample: func(keeper.Sample) {
		if m.Lap().WrittenBytes > 0 {
			stop(enough)
		}
	}})
	if err != nil || !errors.Is(res.Stopped, enough) {
		t.Errorf("%+v, %v", res, err)
	}
}

// A check that is asked while a program runs may look at its meter.
func TestACheckMayAskTheMeter(t *testing.T) {
	t.Parallel()
	var m keeper.Meter
	enough := errors.New("it has written enough")
	res, err := keepers(t, keeper.Session).Run(t.Context(), sh("while :; do echo x; sleep 0.01; done"), keeper.Limits{Meter: &m, Check: func() error {
		if m.Seen().WrittenBytes > 20 && m.OpenFiles() > 0 {
			return enough
		}
		return nil
	}})
	if err != nil || !errors.Is(res.Stopped, enough) {
		t.Errorf("%+v, %v", res, err)
	}
}
