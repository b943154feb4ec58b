package explain_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/explain"
	"tfpilot/internal/exitcode"
)

func says(t *testing.T, sentences []string, wants ...string) {
	t.Helper()
	text := strings.Join(sentences, "\n")
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

func TestEveryStateHasASentenceOfItsOwn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	said := map[string]harvester.State{}
	for _, state := range []harvester.State{
		harvester.Intended, harvester.Queued, harvester.Held, harvester.Running, harvester.Suspended, harvester.Ending, harvester.Unknown, harvester.Ended, harvester.Missing,
	} {
		sentences := explain.Worker(harvester.Worker{State: state, ChangedAt: now.Add(-time.Minute)}, now)
		if len(sentences) == 0 {
			t.Errorf("%s: nothing", state)
			continue
		}
		if other, twice := said[sentences[0]]; twice {
			t.Errorf("%s and %s: %s", state, other, sentences[0])
		}
		said[sentences[0]] = state
	}
}

func TestAnEndIsToldWithItsCauseAndTheNextStep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ended := harvester.Worker{State: harvester.Ended, Node: "n1", Cause: exitcode.Walltime.Name, CauseFrom: harvester.FromBatch, Reason: "time limit."}
	says(t, explain.Worker(ended, now), "on n1.", "Reason: time limit.\n", "Cause "+exitcode.Walltime.Name+" (known from: batch system): "+exitcode.Walltime.Text, "Next: "+exitcode.Walltime.Next)
	says(t, explain.Worker(harvester.Worker{State: harvester.Ended}, now), "Nobody has told why")
	says(t, explain.Worker(harvester.Worker{State: harvester.Missing}, now), "It never came to the batch system.")
}

func TestAReportTellsWhoWantsPilotsAndWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	now := time.Now()
	says(t, explain.Report(harvester.Report{Runs: []harvester.RunReport{{RunID: "6", Demanded: true}}}, now), "No run wants pilots.")
	r := harvester.Report{
		Runs: []harvester.RunReport{
			{RunID: "7", Namespace: "ns", Wanted: 3, Demanded: true, Alive: map[harvester.State]int{harvester.Running: 1, harvester.Queued: 1}},
			{RunID: "5", Alive: map[harvester.State]int{harvester.Running: 1}},
		},
		Trouble: []harvester.Trouble{{Whom: "idds", Since: now.Add(-time.Minute), Text: "no route to host", Next: "see --idds"}},
		Pause:   harvester.Pause{Until: now.Add(time.Minute)},
		Why:     []string{"max_workers is 2"}, Strays: 1,
	}
	says(t, explain.Report(r, now), "Run 7 (ns) wants 3 and has 2 (1 queued, 1 running).", "Run 5 wants no pilots any more and has 1 (1 running)",
		"Trouble with idds for 1m0s: no route to host. Next: see --idds.", "Not submitted: max_workers is 2.", "ends in 1m0s.", "1 job is of ours")
}
