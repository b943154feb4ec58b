package replay

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

// Config is what is replayed, and how.
type Config struct {
	File    string  `toml:"replay" help:"replay the simulated events of this ROOT file as detector input; none: the built-in simulation"`
	Events  int     `toml:"replay_events" default:"45" help:"replayed events in each time frame"`
	SmearNS float64 `toml:"replay_smear_ns" default:"5" zero:"true" help:"resolution (sigma) of the times of replayed hits, in ns"`
}

// Run is what the frames are made for.
type Run struct {
	// FrameNS is the length of a frame, Frames how many an STF has.
	FrameNS float64
	Frames  int
	Seed    uint64
	// MemoryBytes is about how much of the file is held in memory; 0 is 48 MiB.
	MemoryBytes int64
}

// The most of everything.
const (
	maxEvents  = 100_000
	maxSmearNS = 1e6
)

// guardNS keeps collisions away from the frame's ends, so that their hits are in the frame.
const guardNS = 1000

// Source makes frames. Frame may be called from several goroutines.
type Source struct {
	cfg    Config
	run    Run
	geom   stf.Geometry
	blocks *blocks
}

// Open opens the file of a configuration.
func Open(cfg Config, run Run) (*Source, error) {
	var errs []error
	if cfg.Events < 1 || cfg.Events > maxEvents {
		errs = append(errs, fmt.Errorf("--replay-events %d: must be 1 to %d", cfg.Events, maxEvents))
	}
	if !(cfg.SmearNS >= 0 && cfg.SmearNS <= maxSmearNS) { // NaN too
		errs = append(errs, fmt.Errorf("--replay-smear-ns %g: must be 0 to %g", cfg.SmearNS, maxSmearNS))
	}
	if !(run.FrameNS >= 4*guardNS && run.FrameNS <= 1e9) {
		errs = append(errs, fmt.Errorf("--detector-frame-ns %g: must be %g to %g", run.FrameNS, 4.0*guardNS, 1e9))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, exitcode.Wrap(exitcode.BadConfig, err)
	}
	r, err := stf.OpenEvents(cfg.File)
	if err != nil {
		return nil, err
	}
	if mean := r.Hits() / int64(r.Len()); mean*int64(cfg.Events) > stf.MaxHits {
		return nil, errors.Join(exitcode.New(exitcode.BadConfig, "--replay-events %d: with %d hits each they are more than the %d that a frame can have",
			cfg.Events, mean, stf.MaxHits), r.Close())
	}
	g := r.Geometry()
	// The layers would promise columns that somebody else has named.
	g.FrameNS, g.Layers, g.Source = run.FrameNS, nil, "replay of "+filepath.Base(cfg.File)
	return &Source{cfg: cfg, run: run, geom: g, blocks: newBlocks(r, cmp.Or(run.MemoryBytes, defaultMemory))}, nil
}

// Close closes the file.
func (s *Source) Close() error { return s.blocks.close() }

// Geometry names the detector of the file.
func (s *Source) Geometry() stf.Geometry { return s.geom }

// Frame makes frame tf of STF number sequence, with its truth.
func (s *Source) Frame(sequence, tf int) (*stf.Frame, error) {
	m := maker{
		run: s.run, smear: s.cfg.SmearNS, columns: map[string][]any{}, truth: &stf.Truth{},
		rng: rand.New(rand.NewPCG(s.run.Seed, uint64(sequence)<<32|uint64(uint32(tf)))),
	}
	size := s.blocks.size()
	next := int64(sequence-1)*int64(s.run.Frames) + int64(tf)
	event := int(next * int64(s.cfg.Events) % int64(size))
	for left := s.cfg.Events; left > 0; {
		first, events, err := s.blocks.holding(event)
		if err != nil {
			return nil, err
		}
		n := min(left, first+events.Len()-event)
		m.add(events, first, event-first, n)
		left, event = left-n, (event+n)%size
	}
	return m.frame(tf)
}

// maker makes one frame.
type maker struct {
	run   Run
	smear float64
	rng   *rand.Rand

	hits    []hit
	blocks  int32
	columns map[string][]any // of each block
	truth   *stf.Truth
}

type hit struct {
	t            float64
	place        stf.Place
	event, track int32
}

// add puts n events of a block into the frame; the block begins with event number first of the file, they with its place from.
func (m *maker) add(e *stf.Events, first, from, n int) {
	for name, c := range e.Columns {
		m.columns[name] = append(m.columns[name], c)
	}
	for i := from; i < from+n; i++ {
		event, firstTrack := int32(len(m.truth.EventTime)), int32(len(m.truth.TrackPT))
		t := guardNS + m.rng.Float64()*(m.run.FrameNS-2*guardNS)
		m.truth.EventTime = append(m.truth.EventTime, t)
		m.truth.EventNumber = append(m.truth.EventNumber, int64(first+i))
		m.collision(e, i, event)
		for h := e.HitStart[i]; h < e.HitStart[i+1]; h++ {
			track := int32(-1)
			if len(e.HitTrack) > 0 && e.HitTrack[h] >= 0 {
				track = firstTrack + e.HitTrack[h]
			}
			at := t + e.Time[h] + m.rng.NormFloat64()*m.smear
			if at >= 0 && at < m.run.FrameNS {
				m.hits = append(m.hits, hit{at, stf.Place{Column: m.blocks, Index: int32(h)}, event, track})
			}
		}
	}
	m.blocks++
}

// collision writes down what is known of an event.
func (m *maker) collision(e *stf.Events, i int, event int32) {
	t := m.truth
	if len(e.X) == 0 {
		t.EventX, t.EventY, t.EventZ = append(t.EventX, 0), append(t.EventY, 0), append(t.EventZ, 0)
		return
	}
	t.EventX, t.EventY, t.EventZ = append(t.EventX, e.X[i]), append(t.EventY, e.Y[i]), append(t.EventZ, e.Z[i])
	a, b := e.TrackStart[i], e.TrackStart[i+1]
	t.TrackPT, t.TrackEta, t.TrackPhi = append(t.TrackPT, e.TrackPT[a:b]...), append(t.TrackEta, e.TrackEta[a:b]...), append(t.TrackPhi, e.TrackPhi[a:b]...)
	t.TrackCharge = append(t.TrackCharge, e.TrackCharge[a:b]...)
	for range b - a {
		t.TrackEvent = append(t.TrackEvent, event)
	}
}

// frame puts the hits into columns in the order of their times.
func (m *maker) frame(tf int) (*stf.Frame, error) {
	slices.SortFunc(m.hits, func(a, b hit) int { return cmp.Compare(a.t, b.t) })
	n, t := len(m.hits), m.truth
	f := &stf.Frame{TF: tf, Time: make([]float64, n), Extra: make(map[string]any, len(m.columns)), Truth: t}
	t.HitTrack, t.HitEvent, t.TrackHits = make([]int32, n), make([]int32, n), make([]int32, len(t.TrackPT))
	places := make([]stf.Place, n)
	for i, h := range m.hits {
		f.Time[i], places[i], t.HitTrack[i], t.HitEvent[i] = h.t, h.place, h.track, h.event
		if h.track >= 0 {
			t.TrackHits[h.track]++
		}
	}
	for name, columns := range m.columns {
		c, err := stf.Gather(columns, places)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", name, err)
		}
		f.Extra[name] = c
	}
	return f, nil
}
