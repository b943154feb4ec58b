package hist_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/hist"
)

func TestH1_FillPutsEveryEntrySomewhere(t *testing.T) {
	t.Parallel()
	h := hist.New1D("h", "", "", 4, 0, 1)
	for _, x := range []float64{0, 0.25, 0.5, math.Nextafter(1, 0), 1, -1, math.Inf(1), math.Inf(-1), math.NaN()} {
		h.Fill(x)
	}
	want := hist.New1D("h", "", "", 4, 0, 1)
	want.Counts = []float64{1, 1, 1, 1}
	want.Underflow, want.Overflow, want.NaN, want.Entries = 2, 2, 1, 9
	want.SumW, want.SumWX, want.SumWX2 = 4, 1.75, 1.3125
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := h.Validate(); err != nil {
		t.Error(err)
	}
}

// The values are such that plain float64 sums would differ with their order.
func TestH1_MergeIsExactForAnyPartitionAndOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		low := rapid.Float64Range(-1e3, 1e3).Draw(rt, "low")
		high := low + rapid.Float64Range(1e-3, 1e4).Draw(rt, "width")
		n := rapid.IntRange(1, 50).Draw(rt, "bins")
		values := rapid.SliceOfN(rapid.Float64Range(low-1, high+1), 0, 200).Draw(rt, "values")
		owner := rapid.SliceOfN(rapid.IntRange(0, 4), len(values), len(values)).Draw(rt, "owner")

		whole := hist.New1D("h", "", "", n, low, high)
		parts := make([]*hist.H1, 5)
		for i := range parts {
			parts[i] = hist.New1D("h", "", "", n, low, high)
		}
		for i, x := range values {
			whole.Fill(x)
			parts[owner[i]].Fill(x)
		}
		order := rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(rt, "order")
		left := merged(rt, parts[order[0]], parts[order[1]], parts[order[2]], parts[order[3]], parts[order[4]])
		// ((a+b)+((c+d)+e)) instead of ((((a+b)+c)+d)+e)
		right := merged(rt, merged(rt, parts[0], parts[1]), merged(rt, merged(rt, parts[2], parts[3]), parts[4]))
		for _, got := range []*hist.H1{left, right} {
			if diff := cmp.Diff(whole, got); diff != "" {
				rt.Fatalf("merged parts differ from the whole (-whole +merged)\n%s", diff)
			}
		}
		if err := whole.Validate(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestH1_MeanAndStdDevAreThoseOfTheEntries(t *testing.T) {
	t.Parallel()
	h := hist.New1D("h", "", "", 10, -5, 5)
	for i := range 1000 {
		h.Fill(1 + 0.5*math.Sin(float64(i)*2*math.Pi/1000))
	}
	if got := h.Mean(); math.Abs(got-1) > 1e-5 {
		t.Errorf("mean %v, want 1", got)
	}
	if got, want := h.StdDev(), 0.5/math.Sqrt2; math.Abs(got-want) > 1e-4 {
		t.Errorf("standard deviation %v, want %v", got, want)
	}
}

func TestH1_MergeRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]*hist.H1{
		"OtherBins": hist.New1D("h", "", "", 5, 0, 1),
		"OtherLow":  hist.New1D("h", "", "", 4, -1, 1),
		"OtherHigh": hist.New1D("h", "", "", 4, 0, 2),
		"OtherName": hist.New1D("g", "", "", 4, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hist.New1D("h", "", "", 4, 0, 1)
			other.Fill(0.5)
			if err := h.Merge(other); !errors.Is(err, hist.ErrBinning) {
				t.Errorf("got %v, want ErrBinning", err)
			}
			if diff := cmp.Diff(hist.New1D("h", "", "", 4, 0, 1), h); diff != "" {
				t.Errorf("a refused merge left its trace\n%s", diff)
			}
		})
	}
}

// Each of the two is a histogram; their sum is none that could be written down.
func TestH1_MergeRefusesSumsThatAreNotFinite(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(h *hist.H1){
		"Sum":       func(h *hist.H1) { h.SumWX = -math.MaxFloat64 },
		"SquareSum": func(h *hist.H1) { h.SumWX2 = math.MaxFloat64 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hist.New1D("h", "", "", 4, 0, 1)
			add(h)
			before := h.Clone()
			if err := h.Merge(before); err == nil {
				t.Error("accepted")
			}
			if diff := cmp.Diff(before, h); diff != "" {
				t.Errorf("a refused merge left its trace\n%s", diff)
			}
		})
	}
}

func TestH1_JSONComesBackEqual(t *testing.T) {
	t.Parallel()
	h := hist.New1D("pt", "track pT", "GeV", 5, 0.1, 0.7)
	h.LogY = true
	for i := range 100 {
		h.Fill(float64(i) * 0.0123)
	}
	h.Fill(math.NaN())
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back hist.H1
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*h, back); diff != "" {
		t.Errorf("(-sent +received)\n%s", diff)
	}
}

func TestH1_ValidateNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"NoName":        `{"nbins":1,"low":0,"high":1,"counts":[0]}`,
		"LongTitle":     `{"name":"h","title":"` + strings.Repeat("x", 501) + `","nbins":1,"low":0,"high":1,"counts":[0]}`,
		"NoBins":        `{"name":"h","nbins":0,"low":0,"high":1,"counts":[]}`,
		"TooManyBins":   `{"name":"h","nbins":1000000000,"low":0,"high":1,"counts":[]}`,
		"EmptyAxis":     `{"name":"h","nbins":1,"low":1,"high":1,"counts":[0]}`,
		"InfiniteWidth": `{"name":"h","nbins":1,"low":-1.7e308,"high":1.7e308,"counts":[0]}`,
		"CountsMissing": `{"name":"h","nbins":2,"low":0,"high":1,"counts":[0]}`,
		"Negative":      `{"name":"h","nbins":1,"low":0,"high":1,"counts":[-1],"entries":-1,"sum_w":-1}`,
		"Fraction":      `{"name":"h","nbins":1,"low":0,"high":1,"counts":[0.5],"entries":0.5,"sum_w":0.5}`,
		"EntriesLost":   `{"name":"h","nbins":1,"low":0,"high":1,"counts":[2],"entries":3,"sum_w":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h hist.H1
			if err := json.Unmarshal([]byte(wire), &h); err != nil {
				t.Fatal(err)
			}
			if err := h.Validate(); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestSet_Merge(t *testing.T) {
	t.Parallel()
	filled := func(name string, n int) hist.H1 {
		h := hist.New1D(name, "", "", n, 0, 1)
		h.Fill(0.5)
		return *h
	}
	t.Run("AddsByNameAndAppendsCopies", func(t *testing.T) {
		t.Parallel()
		var sum hist.Set
		part := hist.Set{filled("a", 2), filled("b", 3)}
		for range 3 {
			if err := sum.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		if got := sum.Find("a").Counts[1] + sum.Find("b").Counts[1]; got != 6 {
			t.Errorf("%v counts after three merges of two, want 6", got)
		}
		if part[0].Counts[1] != 1 {
			t.Error("merging changed the part")
		}
	})
	t.Run("IsAllOrNothing", func(t *testing.T) {
		t.Parallel()
		sum := hist.Set{filled("a", 2), filled("b", 3)}
		before := hist.Set{*sum[0].Clone(), *sum[1].Clone()}
		for _, bad := range []hist.Set{{filled("a", 2), filled("b", 4)}, {filled("a", 2), filled("a", 2)}, {filled("a", 2), {Name: "c"}}} {
			if err := sum.Merge(bad); err == nil {
				t.Error("accepted")
			}
			if diff := cmp.Diff(before, sum); diff != "" {
				t.Errorf("a refused merge left its trace\n%s", diff)
			}
		}
	})
}

func BenchmarkH1_Fill(b *testing.B) {
	h := hist.New1D("h", "", "", 100, 0, 5)
	x := 0.0
	for b.Loop() {
		h.Fill(x)
		if x += 0.0137; x > 5.5 {
			x = 0
		}
	}
}

func merged(tb rapid.TB, first *hist.H1, rest ...*hist.H1) *hist.H1 {
	tb.Helper()
	sum := first.Clone()
	for _, h := range rest {
		if err := sum.Merge(h); err != nil {
			tb.Fatal(err)
		}
	}
	return sum
}
