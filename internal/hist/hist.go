package hist

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// MaxBins bounds what is accepted from the wire: beyond it a histogram is an attack or an error, not a picture.
const MaxBins = 100_000

// maxText is how many letters label a picture at most.
const maxText = 500

// gridBits is how finely a value is rounded before it enters SumWX and SumWX2: to 2^-20 of the axis' largest magnitude.
// Whole multiples of such a step add without error until their sum needs more than 53 bits, that is for 2^32 entries.
const gridBits = 20

// ErrBinning is the cause when histograms of different axes, or of different names, are to be merged.
var ErrBinning = errors.New("histograms differ in name or binning")

// H1 is a one-dimensional histogram with bins of equal width. Its fields are its wire form.
type H1 struct {
	// Name identifies it among the histograms of a payload; Title and Unit are the axis' label.
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	Unit  string `json:"unit,omitempty"`
	// LogY asks for a logarithmic count axis when drawn. It changes nothing else.
	LogY bool `json:"log_y,omitempty"`

	NBins int     `json:"nbins"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`

	// Counts has NBins whole numbers. Bin i holds Low+i*w <= x < Low+(i+1)*w.
	Counts    []float64 `json:"counts"`
	Underflow float64   `json:"underflow,omitempty"`
	Overflow  float64   `json:"overflow,omitempty"`
	// NaN counts the entries that were not a number: they belong in no bin and must not vanish.
	NaN float64 `json:"nan,omitempty"`
	// Entries counts every Fill: the bins, Underflow, Overflow and NaN together.
	Entries float64 `json:"entries"`

	// Sums over the entries inside the axis, as ROOT keeps them.
	SumW   float64 `json:"sum_w"`
	SumWX  float64 `json:"sum_wx"`
	SumWX2 float64 `json:"sum_wx2"`
}

// New1D makes an empty histogram of n bins from low to high. It panics on an impossible axis, which is a mistake in the
// program; what comes from outside is checked by [H1.Validate].
func New1D(name, title, unit string, n int, low, high float64) *H1 {
	h := &H1{Name: name, Title: title, Unit: unit, NBins: n, Low: low, High: high}
	if err := h.validateAxis(); err != nil {
		panic(err)
	}
	h.Counts = make([]float64, n)
	return h
}

// Fill counts x. Infinities go to underflow and overflow, NaN is counted apart.
func (h *H1) Fill(x float64) {
	h.Entries++
	switch {
	case x < h.Low:
		h.Underflow++
	case x >= h.High:
		h.Overflow++
	case math.IsNaN(x):
		h.NaN++
	default:
		// The quotient may round up to NBins just below High.
		i := min(int(float64(h.NBins)*((x-h.Low)/(h.High-h.Low))), h.NBins-1)
		h.Counts[i]++
		step := h.gridStep()
		h.SumW++
		h.SumWX += math.RoundToEven(x/step) * step
		// The square has its own grid, relative to the largest square on the axis.
		step2 := step * step * (1 << gridBits)
		h.SumWX2 += math.RoundToEven(x*x/step2) * step2
	}
}

// gridStep is a power of two near 2^-gridBits of the axis' largest magnitude, so that scaling by it is exact.
func (h *H1) gridStep() float64 {
	_, exp := math.Frexp(max(math.Abs(h.Low), math.Abs(h.High)))
	return math.Ldexp(1, exp-gridBits)
}

// Merge adds the entries of other. Another name or binning is [ErrBinning] and changes nothing, as does an other that is
// not valid, or a sum that would not be.
func (h *H1) Merge(other *H1) error {
	if err := h.mergeable(other); err != nil {
		return err
	}
	for i, c := range other.Counts {
		h.Counts[i] += c
	}
	h.Underflow += other.Underflow
	h.Overflow += other.Overflow
	h.NaN += other.NaN
	h.Entries += other.Entries
	h.SumW += other.SumW
	h.SumWX += other.SumWX
	h.SumWX2 += other.SumWX2
	return nil
}

func (h *H1) mergeable(other *H1) error {
	if h.Name != other.Name || h.NBins != other.NBins || h.Low != other.Low || h.High != other.High {
		return fmt.Errorf("merging %s (%d bins, %g to %g) into %s (%d bins, %g to %g): %w",
			other.Name, other.NBins, other.Low, other.High, h.Name, h.NBins, h.Low, h.High, ErrBinning)
	}
	if err := other.Validate(); err != nil {
		return fmt.Errorf("merging %s: %w", other.Name, err)
	}
	if !isFinite(h.SumWX+other.SumWX) || !isFinite(h.SumWX2+other.SumWX2) {
		return fmt.Errorf("merging %s: sums are not finite", other.Name)
	}
	return nil
}

// Clone is an independent copy.
func (h *H1) Clone() *H1 {
	c := *h
	c.Counts = slices.Clone(h.Counts)
	return &c
}

// Mean is the mean of the entries inside the axis, NaN when there are none.
func (h *H1) Mean() float64 { return h.SumWX / h.SumW }

// StdDev is the standard deviation of the entries inside the axis, NaN when there are none.
func (h *H1) StdDev() float64 {
	m := h.Mean()
	return math.Sqrt(max(0, h.SumWX2/h.SumW-m*m))
}

// Edge is the lower edge of bin i; Edge(NBins) is High.
func (h *H1) Edge(i int) float64 {
	return h.Low + (h.High-h.Low)*float64(i)/float64(h.NBins)
}

// Validate answers whether the histogram, come from outside, can be merged and drawn.
func (h *H1) Validate() error {
	if h.Name == "" {
		return errors.New("histogram without a name")
	}
	for _, text := range []string{h.Name, h.Title, h.Unit} {
		if n := utf8.RuneCountInString(text); n > maxText {
			return fmt.Errorf("histogram %.80q has a name, title or unit of %d letters, more than %d", h.Name, n, maxText)
		}
	}
	if err := h.validateAxis(); err != nil {
		return err
	}
	if len(h.Counts) != h.NBins {
		return fmt.Errorf("histogram %s has %d counts for %d bins", h.Name, len(h.Counts), h.NBins)
	}
	inside := 0.0
	for i, c := range h.Counts {
		if !isCount(c) {
			return fmt.Errorf("histogram %s: bin %d holds %g, which is no count", h.Name, i, c)
		}
		inside += c
	}
	for _, c := range []float64{h.Underflow, h.Overflow, h.NaN, h.Entries, h.SumW} {
		if !isCount(c) {
			return fmt.Errorf("histogram %s: %g is no count", h.Name, c)
		}
	}
	if all := inside + h.Underflow + h.Overflow + h.NaN; all != h.Entries || h.SumW != inside {
		return fmt.Errorf("histogram %s: %g entries, but its bins add up to %g", h.Name, h.Entries, all)
	}
	if !isFinite(h.SumWX) || !isFinite(h.SumWX2) {
		return fmt.Errorf("histogram %s: sums are not finite", h.Name)
	}
	return nil
}

func (h *H1) validateAxis() error {
	if h.NBins < 1 || h.NBins > MaxBins {
		return fmt.Errorf("histogram %s has %d bins, not 1 to %d", h.Name, h.NBins, MaxBins)
	}
	if !isFinite(h.Low) || !isFinite(h.High) || h.Low >= h.High || !isFinite(h.High-h.Low) {
		return fmt.Errorf("histogram %s: axis from %g to %g", h.Name, h.Low, h.High)
	}
	return nil
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// isCount allows the whole numbers that float64 holds exactly.
func isCount(c float64) bool { return c >= 0 && c <= 1<<53 && c == math.Trunc(c) }
