package simulate_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/demand/simulate"
)

// speaker is the policy, and what it says.
type speaker struct {
	demand.Policy

	t          *testing.T
	before     demand.Memory
	processing demand.Times
	begin      time.Time
	reasons    map[string]bool
	looks      int
}

func (*speaker) Name() string { return "speaker" }

func (s *speaker) Took(seconds float64, now time.Time) { s.processing.Add(demand.Bin(seconds), 1, now) }

// wrong is what no operator should have to read: durations as Go writes them, numbers that do not go with their nouns, nothing in place of
// a number, and a sentence that does not begin or end as one.
var wrong = regexp.MustCompile(`\d(ms|s|m|h)\b|(^|[^.\d])1 (workers|slices|ready workers|are|have)\b|\d\d (worker|slice|ready worker|is|has)\b|NaN|Inf|%!|–|^[a-z]|[^.]$`)

func (s *speaker) Wanted(snapshot func() demand.Snapshot) int {
	shot := snapshot()
	shot.Runs[0].Before, shot.Runs[0].Processing = s.before, s.processing.Took()
	d := s.Decide(shot)[0]
	s.before = d.Memory
	if s.begin.IsZero() {
		s.begin = shot.Now
	}
	if s.looks++; s.looks%10 != 0 && s.reasons[d.Reason] {
		return d.Wanted // it says what it has said, but for numbers
	}
	for _, said := range append(d.Reasons, d.Reason+".") {
		if bad := wrong.FindString(said); bad != "" {
			s.t.Errorf("%q in %q", bad, said)
		}
	}
	if !s.reasons[d.Reason] {
		s.reasons[d.Reason] = true
		s.t.Logf("after %s:\n  %s", shot.Now.Sub(s.begin), strings.Join(d.Reasons, "\n  "))
	}
	return d.Wanted
}

func TestWhatIsSaidIsForOperators(t *testing.T) {
	t.Parallel()
	for _, s := range simulate.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			says := &speaker{Policy: asServed(), t: t, processing: demand.Times{HalfLife: demand.ProcessingHalfLife}, reasons: map[string]bool{}}
			s.Beam = min(s.Beam, time.Hour)
			if _, err := simulate.Run(t.Context(), s, 1, says, says.Goal); err != nil {
				t.Fatal(err)
			}
		})
	}
}
