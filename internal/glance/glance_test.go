package glance_test

import (
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/glance"
)

func TestTheEfficiencyOfAllSitesIsThatOfAllSlots(t *testing.T) {
	t.Parallel()
	half, all := 0.5, 1.0
	total := glance.Total([]document.BoardSite{{Running: 1, Slots: 30, Busy: 10, Efficiency: &half}, {Starting: 1, Draining: 2, Slots: 10, Busy: 10, Efficiency: &all}})
	if total.Efficiency == nil || *total.Efficiency != 0.625 || total.Slots != 40 || total.Busy != 20 || glance.Workers(total) != 4 {
		t.Errorf("%+v, %v", total, total.Efficiency)
	}
	if none := glance.Total([]document.BoardSite{{Slots: 3}}); none.Efficiency != nil {
		t.Errorf("nothing is known, and yet it is %v", *none.Efficiency)
	}
}

func TestTroublesOfTheServiceComeBeforeThoseOfARunAndWhatMayPassComesLast(t *testing.T) {
	t.Parallel()
	b := document.Board{Health: document.Health{Parts: []document.HealthPart{{Name: "store", Details: "full"}}}, Sites: []document.BoardSite{{Site: "a", Running: 1, Held: 1}}}
	r := document.BoardRun{Run: document.Run{RunID: "7", Slices: document.SliceCounts{Failed: 2}}}
	for of, want := range map[*document.BoardRun][]string{
		nil: {"store: full", "1 worker at a take no slices: their nodes hold them back"},
		&r:  {"store: full", "2 slices of run 7 failed for good", "1 worker at a take no slices: their nodes hold them back"},
	} {
		got := glance.Troubles(&b, of)
		for i := range got {
			if len(got) != len(want) || got[i].Text != want[i] {
				t.Fatalf("%+v, want %q", got, want)
			}
		}
	}
}
