package chaos_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/testbed/chaos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// good is a report in which every promise was kept.
func good(spoil func(*chaos.Report, *chaos.Row)) chaos.Report {
	row := chaos.Row{Fault: "x", Times: 1, Slices: 2, Published: 2, Done: 2, Witnessed: 2}
	r := chaos.Report{BrokerAbsorbs: true, RecoverLimit: 5}
	spoil(&r, &row)
	r.Rows = []chaos.Row{{Fault: "none", Slices: 2, Published: 2, Done: 2, Witnessed: 2, Gentle: true}, row}
	return r
}

func TestEveryBrokenPromiseBreaksTheVerdict(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*chaos.Report, *chaos.Row){
		"1 of 2 slices are done":       func(_ *chaos.Report, r *chaos.Row) { r.Done, r.Failed = 1, 1 },
		"1 slices are lost":            func(_ *chaos.Report, r *chaos.Row) { r.Done, r.Lost = 1, 1 },
		"1 of 2 slices were published": func(_ *chaos.Report, r *chaos.Row) { r.Published, r.Done, r.Witnessed = 1, 1, 1 },
		"1 results came twice without": func(_ *chaos.Report, r *chaos.Row) { r.Unexplained = 1 },
		"a consumer of results 1":      func(_ *chaos.Report, r *chaos.Row) { r.Witnessed = 1 },
		"3 copies of done results":     func(_ *chaos.Report, r *chaos.Row) { r.Copies = 3 },
		"work was done twice":          func(_ *chaos.Report, r *chaos.Row) { r.Gentle, r.Again = true, 1 },
		"no result for 5.1 s":          func(_ *chaos.Report, r *chaos.Row) { r.Recover = 5.1 },
		"2 results of others":          func(_ *chaos.Report, r *chaos.Row) { r.Problems = []string{"2 results of others' slices"} },
		"the run was over before":      func(_ *chaos.Report, r *chaos.Row) { r.Times = 0 },
		"asked for and left out": func(_ *chaos.Report, r *chaos.Row) {
			*r = chaos.Row{Fault: "x", LeftOut: "the broker is not ours to kill", Named: true}
		},
		"processes left: [7]": func(r *chaos.Report, _ *chaos.Row) { r.Problems = []string{"processes left: [7]"} },
		"messages left in /queue/panda.r": func(r *chaos.Report, _ *chaos.Row) {
			r.Problems = []string{"1 messages left in /queue/panda.results.idds"}
		},
	} {
		r := good(spoil)
		if err := r.Verdict(); exitcode.From(err) != exitcode.CheckFailed {
			t.Errorf("%s: %v", want, err)
		}
		var table strings.Builder
		if err := r.Print(&table); err != nil || !strings.Contains(table.String(), want) {
			t.Errorf("%s is not in the table, %v:\n%s", want, err, table.String())
		}
	}
}

func TestWhatIsTheBrokersWayAndWhatWasLeftOutBreakNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*chaos.Report, *chaos.Row){
		"nothing": func(*chaos.Report, *chaos.Row) {},
		"a broker that does not know _AMQ_DUPL_ID": func(r *chaos.Report, row *chaos.Row) { r.BrokerAbsorbs, row.Copies, row.Absorbed = false, 3, 3 },
		"work done again after a fault":            func(_ *chaos.Report, r *chaos.Row) { r.Again, r.Absorbed, r.AbsorbedByBroker = 3, 2, 1 },
		"a fault that is left out":                 func(_ *chaos.Report, r *chaos.Row) { *r = chaos.Row{Fault: "x", LeftOut: "the disk is not ours"} },
	} {
		if err := good(spoil).Verdict(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryWrongFlagIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := chaos.Run(t.Context(), chaos.Config{
		Faults: []string{"kill-everything"}, Slices: 30, Pilots: -1, Work: -1, Broker: "nowhere", BrokerKill: "true",
	}, "", nil)
	if exitcode.From(err) != exitcode.Usage {
		t.Fatal(err)
	}
	for _, want := range []string{"kill-everything", "--slices 30", "--pilots -1", "--work", `--broker "nowhere"`, "--broker-start"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}

func TestEveryFaultHasALineOfHelp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none", "kill-pilot", "clock-idds", "freeze-broker", "junk", "silence-75s"} {
		if !strings.Contains(chaos.Faults(), "  "+name+" ") {
			t.Errorf("%s:\n%s", name, chaos.Faults())
		}
	}
}
