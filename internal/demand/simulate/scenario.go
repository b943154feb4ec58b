package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Scenario is a run. Times without a unit are seconds since the first slice.
type Scenario struct {
	Name, About string
	// Lead is how long before the first slice the run is announced, Asked how many workers it asks for then.
	Lead  time.Duration
	Asked int
	// Beam is how long it takes data; Phases are how much, in order.
	Beam   time.Duration
	Phases []Phase
	// File is how often a file comes, with all its slices at once.
	File time.Duration
	// Slice is what a slice takes on an ordinary node, on average; Startup what a worker takes until it can have one.
	Slice, Startup time.Duration
	// Guess is what the run says that a slice takes.
	Guess time.Duration
	// Every so manieth worker comes to a node that takes SlowBy times as long; none when it is 0.
	Slow   int
	SlowBy float64
	// Dying is the share of the ready workers that dies at DieAt.
	Dying float64
	DieAt time.Duration
}

// Phase is how many slices come in a second from a time on; none while the detector stands by.
type Phase struct {
	From      time.Duration
	PerSecond float64
}

// Scenarios are those that the policy is held to.
func Scenarios() []Scenario {
	base := Scenario{
		Lead: 60 * time.Second, Asked: 17, Beam: time.Hour, Phases: []Phase{{0, 2}}, File: 2 * time.Second, Slice: 8400 * time.Millisecond, Startup: 20 * time.Second, Guess: 10 * time.Second,
	}
	with := func(name, about string, change func(s *Scenario)) Scenario {
		s := base
		s.Name, s.About = name, about
		change(&s)
		return s
	}
	return []Scenario{
		with("steady", "an hour of constant load, with as many workers asked for as it takes", func(*Scenario) {}),
		with("burst", "three times the load doubles for four minutes", func(s *Scenario) {
			s.Phases = []Phase{{0, 2}, {10 * time.Minute, 4}, {14 * time.Minute, 2}, {28 * time.Minute, 4}, {32 * time.Minute, 2}, {46 * time.Minute, 4}, {50 * time.Minute, 2}}
		}),
		with("slow-start", "a worker takes four minutes to start, and the first slice comes after one", func(s *Scenario) {
			s.Startup, s.Beam = 4*time.Minute, 4*time.Hour
		}),
		with("slow-node", "every fourth worker comes to a node that takes two and a half times as long", func(s *Scenario) {
			s.Slow, s.SlowBy, s.Slice = 4, 2.5, 6*time.Second
		}),
		with("ends-early", "the run ends after twenty minutes of its hour", func(s *Scenario) { s.Beam = 20 * time.Minute }),
		with("pause", "the detector stands by for three minutes, and later for fifteen", func(s *Scenario) {
			s.Phases = []Phase{{0, 2}, {10 * time.Minute, 0}, {13 * time.Minute, 2}, {28 * time.Minute, 0}, {43 * time.Minute, 2}}
		}),
		with("half-die", "half of the workers die at once", func(s *Scenario) { s.Dying, s.DieAt = 0.5, 25*time.Minute }),
	}
}

// Varied is the scenario with another beam, load, slices and starts, drawn by a seed: what holds for it as it is may be a chance of
// its numbers.
func (s Scenario) Varied(seed uint64) Scenario {
	r := rand.New(rand.NewPCG(seed, 3))
	between := func(from, to float64) float64 { return from * math.Pow(to/from, r.Float64()) }
	times := func(d time.Duration, by float64) time.Duration {
		return time.Duration(float64(d) * by).Round(100 * time.Millisecond)
	}
	beam, slice := between(1./6, 2), between(0.4, 2.2)
	need := between(0.25, 3.5)
	s.Beam, s.DieAt, s.Slice = times(s.Beam, beam), times(s.DieAt, beam), times(s.Slice, slice)
	s.Phases = slices.Clone(s.Phases)
	for i := range s.Phases {
		p := &s.Phases[i]
		p.From, p.PerSecond = times(p.From, beam), p.PerSecond*need/slice
	}
	s.File = times(time.Second, between(0.5, 10))
	s.Lead, s.Startup = times(s.Lead, between(0.5, 5)), times(s.Startup, between(0.5, 3))
	s.Guess = times(s.Slice, between(0.5, 2))
	s.Asked = max(1, int(math.Round(float64(s.Asked)*need*between(0.7, 1.4))))
	return s
}

// Need is how many workers the load keeps busy where it is largest.
func (s Scenario) Need() int {
	most := 0.0
	for _, p := range s.Phases {
		most = max(most, p.PerSecond)
	}
	does := 1.0 // a worker on average, of what one on an ordinary node does
	if s.Slow > 0 {
		does -= (1 - 1/s.SlowBy) / float64(s.Slow)
	}
	return int(math.Ceil(most * s.Slice.Seconds() / does))
}

// slice is one with its work: seconds on an ordinary node.
type slice struct{ at, work float64 }

// spread is that of the logarithm of a slice's work, and of a worker's start.
const spread = 0.35

// around draws a time that is mean on average.
func around(r *rand.Rand, mean float64) float64 {
	return mean * math.Exp(spread*r.NormFloat64()-spread*spread/2)
}

// slices are those of a run.
func (s Scenario) slices(seed uint64) []slice {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []slice
	for at := 0.0; at < s.Beam.Seconds(); at += s.File.Seconds() {
		for range poisson(r, s.rate(at)*s.File.Seconds()) {
			out = append(out, slice{at, around(r, s.Slice.Seconds())})
		}
	}
	return out
}

// rate is how many slices come in a second at a time.
func (s Scenario) rate(at float64) float64 {
	rate := 0.0
	for _, p := range s.Phases {
		if p.From.Seconds() <= at {
			rate = p.PerSecond
		}
	}
	return rate
}

// poisson draws a number that is mean on average.
func poisson(r *rand.Rand, mean float64) int {
	n, limit := 0, math.Exp(-mean)
	for p := r.Float64(); p > limit; p *= r.Float64() {
		n++
	}
	return n
}
