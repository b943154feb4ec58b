package trial

import (
	"cmp"
	"math"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// Summary is what became of all slices. Its JSON is a promise to scripts.
type Summary struct {
	Slices    int     `json:"slices"`
	Slots     int     `json:"slots"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`

	Verdicts []Verdict `json:"verdicts"`
	// Startups is how often a payload that stays was started, Startup how long that took in seconds; it is part of no slice's time.
	Startups int       `json:"startups"`
	Startup  Quantiles `json:"startup_seconds"`
	// Slice is the time of whole slices, Payload that of the payload alone, Overhead what is between them; CPU is the time of
	// processors. All are in seconds, of slices that are done.
	Slice    Quantiles `json:"slice_seconds"`
	Payload  Quantiles `json:"payload_seconds"`
	Overhead Quantiles `json:"overhead_seconds"`
	CPU      Quantiles `json:"cpu_seconds"`
	// Memory is the peak of each slice in bytes.
	Memory Quantiles `json:"memory_bytes"`
	// Growth compares the memory of the first and the last fifth; nil for too few slices, and for processes of which nothing stays.
	Growth *Growth `json:"growth,omitempty"`
	// LeftBehind are processes that had to be killed when their slice was over, Files what lies where nothing should.
	LeftBehind int      `json:"processes_left"`
	Files      []string `json:"files_left,omitempty"`
	// Differences are the parts of the results that are not the same in all slices that are done.
	Differences []Difference `json:"differences"`
}

// Verdict is how many slices ended in one way.
type Verdict struct {
	Name   string `json:"name"` // done, or the name of the failure
	Code   int    `json:"code"`
	Slices int    `json:"slices"`
	// Message is that of the first of them.
	Message string `json:"message,omitempty"`
}

// Quantiles of a sample.
type Quantiles struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Growth is the median memory of the first and of the last fifth of the slices, in bytes.
type Growth struct {
	First float64 `json:"first"`
	Last  float64 `json:"last"`
}

// Grows says that the memory became more than chance explains.
func (g *Growth) Grows() bool {
	return g != nil && g.Last > 1.1*g.First && g.Last-g.First > 4<<20
}

// fewest slices from which a growth can be told.
const fewest = 10

// collection holds what has come so far.
type collection struct {
	started time.Time
	slots   int

	n        int
	startups []float64
	verdicts []Verdict
	samples  struct{ slice, payload, overhead, cpu, memory []float64 }
	left     int
	parts    parts
}

func (c *collection) add(o wrapper.Outcome) {
	c.n++
	u := o.Result.Usage
	c.left += u.LeftBehind
	if u.Startup > 0 {
		c.startups = append(c.startups, u.Startup.Seconds())
	}
	f := exitcode.From(o.Err)
	v := Verdict{Name: "done", Slices: 1}
	if o.Err != nil {
		v = Verdict{Name: f.Name, Code: f.Code, Slices: 1, Message: o.Err.Error()}
	}
	if i := slices.IndexFunc(c.verdicts, func(other Verdict) bool { return other.Name == v.Name }); i >= 0 {
		c.verdicts[i].Slices++
	} else {
		c.verdicts = append(c.verdicts, v)
	}
	if o.Err != nil {
		return
	}
	c.parts.add(o.Result)
	c.sample(o.Ended.Sub(o.Started)-u.Startup, u)
}

func (c *collection) sample(took time.Duration, u payload.Usage) {
	worked := u.Wall
	if worked == 0 { // no process was started
		worked = took
	}
	s := &c.samples
	s.slice, s.payload = append(s.slice, took.Seconds()), append(s.payload, worked.Seconds())
	s.overhead = append(s.overhead, max(0, took-worked).Seconds())
	s.cpu = append(s.cpu, (u.User + u.System).Seconds())
	s.memory = append(s.memory, float64(u.PeakBytes))
}

func (c *collection) summary() Summary {
	took := time.Since(c.started).Seconds()
	slices.SortStableFunc(c.verdicts, func(a, b Verdict) int { return cmp.Compare(a.Code, b.Code) })
	out := Summary{
		Slices: c.n, Slots: c.slots, Seconds: took, PerSecond: float64(c.n) / max(took, 1e-9), Verdicts: append([]Verdict{}, c.verdicts...),
		LeftBehind: c.left, Differences: c.parts.differences(),
	}
	if n := len(c.samples.memory); n >= fewest && len(c.startups) > 0 {
		first, last := c.samples.memory[:n/5], c.samples.memory[n-n/5:]
		out.Growth = &Growth{quantiles(first).Median, quantiles(last).Median}
	}
	out.Startups, out.Startup = len(c.startups), quantiles(c.startups)
	s := &c.samples
	out.Slice, out.Payload, out.Overhead = quantiles(s.slice), quantiles(s.payload), quantiles(s.overhead)
	out.CPU, out.Memory = quantiles(s.cpu), quantiles(s.memory)
	return out
}

// Failed is how many slices are not done.
func (s Summary) Failed() int {
	failed := s.Slices
	for _, v := range s.Verdicts {
		if v.Code == 0 {
			failed -= v.Slices
		}
	}
	return failed
}

// quantiles of a sample by nearest rank; all 0 of none.
func quantiles(sample []float64) Quantiles {
	if len(sample) == 0 {
		return Quantiles{}
	}
	sorted := slices.Sorted(slices.Values(sample))
	at := func(q float64) float64 { return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)] }
	return Quantiles{at(0.5), at(0.95), sorted[len(sorted)-1]}
}
