package live

import (
	"time"

	"tfpilot/internal/document"
)

// Times are the times of a run's results, for tests.
type Times struct{ *history }

// NewTimes begins at a time.
func NewTimes(begin time.Time) Times { return Times{newHistory(begin)} }

// Add counts a result.
func (t Times) Add(at time.Time, seconds float64) { t.add(at, seconds) }

// Came and Went count a slice.
func (t Times) Came(at time.Time) { t.came(at) }

// Went counts one that is done or failed.
func (t Times) Went(at time.Time) { t.went(at) }

// Merge adds those of another part of the run.
func (t Times) Merge(other Times) { t.merge(other.history) }

// Recent is of the last seconds.
func (t Times) Recent(now time.Time) (document.Quantiles, float64) { return t.recent(now) }

// Over is the whole time.
func (t Times) Over(most int) []document.BoardLatency { return t.over(most) }

// Remembered is how many runs a feed remembers of a namespace.
func (f *Feed) Remembered(namespace string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.spaces[namespace].runs)
}
