package stagein_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/stagein"
)

func TestAFileIsFetchedWholeWhereThatCostsLess(t *testing.T) {
	t.Parallel()
	near := stagein.Situation{SizeBytes: 40e6, LimitBytes: 1e9, Slices: 1, After: 2, RTT: 200 * time.Microsecond}
	for name, c := range map[string]struct {
		change func(s *stagein.Situation)
		whole  bool
		words  string
	}{
		"the first slice, near":  {func(*stagein.Situation) {}, false, "slice 1 of this file"},
		"the second":             {func(s *stagein.Situation) { s.Slices = 2 }, true, "slice 2 of this file"},
		"later, if said so":      {func(s *stagein.Situation) { s.Slices, s.After = 4, 5 }, false, "slice 4"},
		"always, if said so":     {func(s *stagein.Situation) { s.After = 1 }, true, "slice 1"},
		"far":                    {func(s *stagein.Situation) { s.RTT = 50 * time.Millisecond }, true, "a round trip takes 50ms, and 16 of them longer than 40.0 MB"},
		"far, but much":          {func(s *stagein.Situation) { s.RTT, s.SizeBytes = 20*time.Millisecond, 400e6 }, false, "slice 1"},
		"a round trip not known": {func(s *stagein.Situation) { s.RTT = 0 }, false, "slice 1"},
		"little":                 {func(s *stagein.Situation) { s.SizeBytes = 500e3 }, true, "little more than a slice"},
		"here":                   {func(s *stagein.Situation) { s.Here = true }, true, "on this node already"},
		"more than the cache":    {func(s *stagein.Situation) { s.SizeBytes, s.Slices = 2e9, 9 }, false, "2000.0 MB are more than the cache may hold"},
	} {
		s := near
		c.change(&s)
		if whole, reason := stagein.Choose(s); whole != c.whole || !strings.Contains(reason, c.words) {
			t.Errorf("%s: %v, %s", name, whole, reason)
		}
	}
}
