package fitness_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/logging"
)

// disk is a node whose disk is in order at some of the examinations.
type disk struct {
	good func(examination int) bool
	at   []time.Time // when it was examined
	calm []bool
}

func (d *disk) Test(_ context.Context, calm bool) []fitness.Finding {
	d.at, d.calm = append(d.at, time.Now()), append(d.calm, calm)
	findings := []fitness.Finding{{Test: "clock", Verdict: fitness.Warning, Found: "2m0s ahead"}}
	if !d.good(len(d.at)) {
		return append(findings, fitness.Finding{Test: "disk", Verdict: fitness.Bad, Found: "no room", Next: "make some"})
	}
	return append(findings, fitness.Finding{Test: "disk", Verdict: fitness.OK, Found: "room"})
}

func always(good bool) func(int) bool { return func(int) bool { return good } }

// watch watches a node in the bubble of a test until the test ends.
func watch(t *testing.T, g *fitness.Gate) (left chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	left = make(chan error, 1)
	go func() { left <- g.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	synctest.Wait()
	return left
}

func TestANodeThatNobodyTestsIsFit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := fitness.New(nil, fitness.Config{}, logging.Discard())
		if while, _, hold := g.State(); while != nil || hold != "" {
			t.Errorf("open before it was watched, or held: %q", hold)
		}
		left := watch(t, g)
		if while, _, _ := g.State(); while == nil {
			t.Error("closed")
		}
		if err := <-left; err != nil {
			t.Errorf("left: %v", err)
		}
	})
}

func TestAnUnfitNodeIsTestedSoonThenLessOftenAndLeftAfterTheHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, d, changes := time.Now(), &disk{good: always(false)}, 0
		g := fitness.New(d, fitness.Config{Hold: 10 * time.Minute, Every: time.Hour, Changed: func() { changes++ }}, logging.Discard())
		left := watch(t, g)
		if while, _, hold := g.State(); while != nil || !strings.Contains(hold, "held until "+began.Add(10*time.Minute).UTC().Format("15:04:05")+": disk: no room") {
			t.Errorf("hold %q", hold)
		}
		err := <-left
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("left after %s", took)
		}
		if exitcode.From(err) != exitcode.NodeUnfit || exitcode.Next(err) != "make some" {
			t.Errorf("left because %v (%s)", err, exitcode.Next(err))
		}
		if len(d.at) < 8 || d.at[1].Sub(d.at[0]) != time.Second || d.at[7].Sub(d.at[6]) != 64*time.Second {
			t.Errorf("examined at %v", d.at)
		}
		if changes != len(d.at) {
			t.Errorf("%d changes of %d examinations", changes, len(d.at))
		}
	})
}

func TestAGateOpensAndClosesWithTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Fit at first, then not for two examinations, then fit again.
		d := &disk{good: func(examination int) bool { return examination != 2 && examination != 3 }}
		var log bytes.Buffer
		opened := 0
		g := fitness.New(d, fitness.Config{
			Hold: 10 * time.Minute, Every: time.Minute, Open: func() error { opened++; return nil }, Busy: func() bool { return len(d.at) > 0 },
		}, slog.New(slog.NewTextHandler(&log, nil)))
		watch(t, g)
		first, changed, _ := g.State()
		if first == nil {
			t.Fatal("closed while the node is fit")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if first.Err() == nil {
			t.Error("what was begun on the fit node goes on")
		}
		if while, _, hold := g.State(); while != nil || hold == "" || g.Hold() != hold {
			t.Errorf("open while the node is unfit; held: %q", hold)
		}
		time.Sleep(3 * time.Second) // two further examinations
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("who waits is not told that the node is fit again")
		}
		if while, _, hold := g.State(); while == nil || while.Err() != nil || hold != "" {
			t.Errorf("closed when the node is fit again; held: %q", hold)
		}
		if opened != 1 {
			t.Errorf("disks opened %d times", opened)
		}
		if d.calm[0] || !d.calm[1] {
			t.Errorf("calm %v", d.calm)
		}
		for said, want := range map[string]int{"test=clock": 1, "test=disk": 1, "slots held": 1, "node is fit again": 1} {
			if n := strings.Count(log.String(), said); n != want {
				t.Errorf("%q is in the log %d times, want %d:\n%s", said, n, want, &log)
			}
		}
	})
}

func TestAnUnfitNodeIsLeftAtOnceWithoutAHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, d := time.Now(), &disk{good: always(false)}
		err := <-watch(t, fitness.New(d, fitness.Config{}, logging.Discard()))
		if exitcode.From(err) != exitcode.NodeUnfit || len(d.at) != 1 || !time.Now().Equal(began) {
			t.Errorf("%v after %d examinations", err, len(d.at))
		}
	})
}

func TestDisksThatCannotBeOpenedCloseTheGateForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no journal")
		g := fitness.New(&disk{good: always(true)}, fitness.Config{Every: time.Minute, Open: func() error { return full }}, logging.Discard())
		if err := <-watch(t, g); !errors.Is(err, full) {
			t.Errorf("left because %v", err)
		}
		if while, _, _ := g.State(); while != nil {
			t.Error("open")
		}
	})
}
