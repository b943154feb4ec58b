package top_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"tfpilot/idds/top"
	"tfpilot/internal/document"
)

// board has so many runs, the last of which has trouble of all kinds.
func board(runs int) *document.Board {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &document.Board{At: at, Namespace: "demo", Health: document.Health{OK: true}}
	share := 0.5
	b.Sites = []document.BoardSite{{Site: "farm", Running: 3, Silent: 1, Slots: 12, Busy: 9, Efficiency: &share}}
	for i := range runs {
		r := document.BoardRun{STFs: 4, Waiting: 30, Running: 9, Recent: document.Quantiles{N: 5, P50: 1.5, P95: 41, Max: 43}, ResultsPerSecond: 4.2}
		r.RunID, r.State = fmt.Sprint(100001+i), document.RunOpen
		r.Slices = document.SliceCounts{Published: 100, Done: 51, Failed: 10, Outstanding: 39}
		for k := range 100 {
			r.History = append(r.History, document.BoardLatency{At: at, Done: k % 3, P50: 1, P95: float64(k)})
		}
		for k := range 20 {
			r.Failures = append(r.Failures, document.FailureCount{Class: "payload", Name: fmt.Sprint("reason_", k), Failed: k})
		}
		b.Runs = append(b.Runs, r)
	}
	return b
}

func TestEveryPaneFitsEveryTerminal(t *testing.T) {
	t.Parallel()
	away := board(10)
	away.Health = document.Health{Parts: []document.HealthPart{{Name: "store", Details: strings.Repeat("full ", 100)}}}
	for name, s := range map[string]top.State{
		"waiting": {}, "away": {Away: time.Unix(1, 0), Why: "refused\n\x1b[2J"}, "no run": {Board: board(0)}, "runs": {Board: board(10), Run: 9}, "one": {Board: board(1)},
		"failures": {Board: board(2), Pane: top.Failures}, "workers": {Board: board(1), Pane: top.Workers, Workers: make([]document.Worker, 300)},
		"help": {Board: board(1), Pane: top.Help}, "trouble": {Board: away},
	} {
		for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}, {10, 3}, {1, 1}} {
			s.Width, s.Height = size[0], size[1]
			lines := strings.Split(top.Screen(s), "\n")
			if len(lines) > s.Height {
				t.Errorf("%s: %d lines of %d", name, len(lines), s.Height)
			}
			for _, l := range lines {
				if name == "help" && s.Width == 80 && strings.HasSuffix(l, "…") {
					t.Errorf("the help does not fit: %q", l)
				}
				if utf8.RuneCountInString(l) > s.Width {
					t.Errorf("%s: %d columns of %d: %q", name, utf8.RuneCountInString(l), s.Width, l)
				}
			}
		}
	}
}

func TestAScreenOf80x24HasWhatAShifterNeeds(t *testing.T) {
	t.Parallel()
	text := top.Screen(top.State{Board: board(3), Run: 1, Width: 80, Height: 24})
	for _, want := range []string{"> 100002", "51 of 100", "p95 41", "reason_0", "and 17 more", "farm", "50 %", "4.2 results/s", "q quit", "1 worker fell silent at farm", "10 slices of run 100002 failed for good"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestFailuresThatHaveNoRoomLeadToThePageThatHasIt(t *testing.T) {
	t.Parallel()
	text := top.Screen(top.State{Board: board(1), Pane: top.Failures, Width: 80, Height: 24})
	if !strings.Contains(text, "reason_0") || !strings.Contains(text, "more ways to fail: the page of failures has them") {
		t.Error(text)
	}
}

func TestANarrowScreenHasTheColumnsThatMatterMostWhole(t *testing.T) {
	t.Parallel()
	b := board(1)
	b.Health = document.Health{OK: true}
	text := top.Screen(top.State{Board: b, Width: 40, Height: 30})
	for _, want := range []string{"DONE  LEFT FAILED\n", "      51    39     10\n", "LATER FOR GOOD\n", "BUSY SLOTS\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestATerminalWithoutUnicodeGetsNone(t *testing.T) {
	t.Parallel()
	b := board(2)
	b.Sites[0].Site, b.Runs[0].Slices.Published = "Orsay-é", 1234567
	for _, pane := range []top.Pane{top.Overview, top.Failures, top.Workers, top.Help} {
		s := top.State{Board: b, Pane: pane, Width: 80, Height: 24}
		with := top.Screen(s)
		s.ASCII = true
		without := top.Screen(s)
		if utf8.RuneCountInString(with) != len(without) || strings.ContainsFunc(without, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%s\n%s", with, without)
		}
	}
	if text := top.Text(b, 80, true); !strings.Contains(text, "of 1 234 567") || !strings.Contains(text, "Orsay-?") {
		t.Error(text)
	}
}

func TestThatIddsIsAwayIsSaidAndTheLastBoardStays(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	text := top.Screen(top.State{Board: board(1), Now: now, Away: now.Add(-7 * time.Second), Why: "connection refused", Width: 100, Height: 30})
	if !strings.Contains(text, "has not answered for 7s") || !strings.Contains(text, "connection refused") || !strings.Contains(text, "100001") {
		t.Error(text)
	}
}

func TestNamesOfOthersDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[31mred\u202e\x00\a\n"
	b := board(1)
	r := &b.Runs[0]
	b.Namespace, r.RunID, b.Sites[0].Site = evil, evil, evil
	r.Failures = []document.FailureCount{{Class: evil, Name: evil}}
	r.Demand, r.Detector = &document.RunDemand{Reason: evil}, &document.Detector{State: evil}
	b.Health = document.Health{Parts: []document.HealthPart{{Name: evil, Details: evil}}}
	w := []document.Worker{{WorkerReport: document.WorkerReport{PilotID: evil, Hostname: evil, Phase: evil, Hold: evil}}}
	for _, pane := range []top.Pane{top.Overview, top.Failures, top.Workers, top.Help} {
		text := top.Screen(top.State{Board: b, Pane: pane, Workers: w, Width: 200, Height: 50}) + top.Text(b, 200, false) + top.Line(b)
		for _, c := range text {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
				t.Fatalf("%d: %q in %q", pane, c, text)
			}
		}
	}
}
