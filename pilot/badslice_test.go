package pilot_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

// validating is a payload that refuses slices as the wrapper does.
func validating() *runner {
	return &runner{do: func(_ context.Context, s message.Slice) error {
		return exitcode.Wrap(exitcode.DataInvalid, s.Validate())
	}}
}

// A selector with a NUL in it, or a longer one than a broker takes, would cost the connection again and again.
func TestASliceOfNoRunFailsAndBindsNobody(t *testing.T) {
	t.Parallel()
	for name, runID := range map[string]string{"none": "", "with a NUL": "7\x00", "of any length": strings.Repeat("7", 200_000)} {
		for of, cfg := range map[string]pilot.Config{"a pilot without a run": {}, "a pilot of the run in the header": {Run: run}} {
			t.Run(name+", "+of, func(t *testing.T) {
				t.Parallel()
				r, idds := newRig(t), &reporter{}
				bad := slice("bad", 1)
				bad.RunID, bad.Content.RunID = message.Run(runID), message.Run(runID)
				body, err := json.Marshal(bad)
				must(t, err)
				r.publishBody(body, run)
				for i := range 3 {
					r.publish(slice(number(i), 1))
				}
				r.pilot(cfg, validating(), idds)
				states := map[string]string{}
				for range 4 {
					d, err := r.results.Next(soon(t))
					must(t, err)
					var m message.SliceResult
					must(t, json.Unmarshal(d.Body, &m))
					must(t, d.Ack(soon(t)))
					states[m.Identity()] = m.Content.State
				}
				if len(states) != 4 || states["bad"] != message.StateFailed || states[number(2)] != message.StateDone {
					t.Errorf("%v", states)
				}
				await(t, "the acknowledgements", func() bool { return r.queue().Acked == 4 })
				await(t, "a report of the run", func() bool { return idds.last().RunID == run })
				if n := r.connections(); n != 1 {
					t.Errorf("it took %d connections", n)
				}
			})
		}
	}
}

func TestNoPilotLeavesBecauseOfASliceThatClaimsMoreThanAnyFileHas(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]int64{"frames that no file has": math.MaxInt32, "frames that no number has": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			first := make(gate)
			w := &runner{do: func(ctx context.Context, s message.Slice) error {
				if s.Content.Identity() == "first" {
					return first.wait(ctx)
				}
				return nil
			}}
			r.pilotIn(endsIn(time.Hour), pilot.Config{Run: run}, w, nil)
			r.publish(slice("first", 1))
			await(t, "the payload", func() bool { return w.count("first") == 1 })
			close(first)
			r.next()
			bad := slice("bad", 1)
			bad.Content.End = message.NewInt(end)
			r.publish(bad)
			r.publish(slice("after", 1))
			for range 2 {
				r.next()
			}
		})
	}
}
