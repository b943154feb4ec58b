package live_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/idds/live"
	"tfpilot/internal/document"
)

type sample struct {
	after   int // seconds after the begin
	seconds float64
}

var samples = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sample {
	return sample{rapid.IntRange(0, 20_000).Draw(t, "after"), rapid.Float64Range(0.01, 5000).Draw(t, "seconds")}
}), 1, 300)

func TestQuantilesAreThoseOfTheSampleWithinThreePercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(1_800_000_000, 0)
		times := live.NewTimes(begin)
		var sorted []float64
		for _, s := range samples.Draw(t, "samples") {
			times.Add(begin, s.seconds)
			sorted = append(sorted, s.seconds)
		}
		slices.Sort(sorted)
		q, _ := times.Recent(begin)
		near := func(got, want float64) bool { return math.Abs(got-want) <= 0.03*want+0.001 }
		n := len(sorted)
		if q.N != n || !near(q.P50, sorted[min(n-1, n/2)]) || !near(q.P95, sorted[min(n-1, int(0.95*float64(n)))]) || math.Abs(q.Max-sorted[n-1]) > 0.001 {
			t.Fatalf("%+v of %v", q, sorted)
		}
	})
}

// However long a run, and in whatever order its results are told, none is missing from its history, and no two intervals overlap.
func TestAHistoryHasEveryResultOnceHoweverItCameTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(1_800_000_000, 0)
		whole, one, two := live.NewTimes(begin), live.NewTimes(begin), live.NewTimes(begin)
		list := samples.Draw(t, "samples")
		end := begin
		for _, s := range list {
			at := begin.Add(time.Duration(s.after) * time.Second)
			whole.Add(at, s.seconds)
			if rapid.Bool().Draw(t, "first") {
				one.Add(at, s.seconds)
			} else {
				two.Add(at, s.seconds)
			}
			if at.After(end) {
				end = at
			}
		}
		one.Merge(two)
		if diff := cmp.Diff(whole.Over(60), one.Over(60)); diff != "" {
			t.Fatal(diff)
		}
		for _, most := range []int{60, 20, 1} {
			n, over := 0, whole.Over(most)
			for i, h := range over {
				n += h.Done
				if i > 0 && !h.At.After(over[i-1].At) {
					t.Fatalf("%v", over)
				}
			}
			if n != len(list) || len(over) > most {
				t.Fatalf("%d of %d results in %d intervals", n, len(list), len(over))
			}
		}
	})
}

func TestARateIsOfTheSecondsThatAreOver(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	times := live.NewTimes(now.Add(-time.Minute))
	for i := range 60 {
		for range 5 {
			times.Add(now.Add(time.Duration(-i)*time.Second), 1)
		}
	}
	if q, rate := times.Recent(now); rate != 5 || q.N != 150 {
		t.Errorf("%v per second, %d results", rate, q.N)
	}
	if q, rate := times.Recent(now.Add(time.Minute)); rate != 0 || q != (document.Quantiles{}) {
		t.Errorf("a minute later: %v per second, %+v", rate, q)
	}
}

func TestAClockThatIsOffMakesNoTimeThatIsNone(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_800_000_000, 0)
	times := live.NewTimes(begin)
	for _, s := range []float64{-5, math.NaN(), math.Inf(1)} {
		times.Add(begin.Add(-time.Hour), s)
	}
	over := times.Over(60)
	if len(over) != 1 || over[0].Done != 3 || over[0].P50 > 0.001 || over[0].P95 != 1e6 {
		t.Errorf("%+v", over)
	}
}

// Whatever the history has been joined to, and in whatever order it was told, it ends with the slices that are left.
func TestAHistoryKnowsHowManySlicesWereOutstanding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(1_800_000_000, 0)
		whole, part := live.NewTimes(begin), live.NewTimes(begin)
		type slice struct{ came, went int }
		var list []slice
		for range rapid.IntRange(1, 200).Draw(t, "slices") {
			s := slice{came: rapid.IntRange(0, 10_000).Draw(t, "came")}
			s.went = s.came + rapid.IntRange(0, 1000).Draw(t, "took")
			list = append(list, s)
			for i, what := range []func(live.Times, time.Time){live.Times.Came, live.Times.Went} {
				times := whole
				if rapid.Bool().Draw(t, "told by the store") {
					times = part
				}
				what(times, begin.Add(time.Duration([]int{s.came, s.went}[i])*time.Second))
			}
		}
		whole.Merge(part)
		over := whole.Over(20)
		for i, h := range over[1:] {
			edge, want := int(h.At.Sub(begin).Seconds()), 0 // the end of the interval before
			for _, s := range list {
				if s.came < edge && s.went >= edge {
					want++
				}
			}
			if over[i].Outstanding != want {
				t.Fatalf("%d are outstanding after %d s, not %d", over[i].Outstanding, edge, want)
			}
		}
		if last := over[len(over)-1]; last.Outstanding != 0 {
			t.Fatalf("%d are left", last.Outstanding)
		}
	})
}
