package tfreco

import (
	"cmp"
	"fmt"
	"math"

	"tfpilot/internal/stf"
)

// Config sets the cuts of the reconstruction. The zero value is the standard one.
type Config struct {
	// MinPT (GeV) bounds the curvature that is searched for; 0 is 0.1.
	MinPT float64
	// MaxD and MaxZ (mm) bound the distance of a track from the beam line and of its origin from the centre; 0 is 3 and 300.
	MaxD, MaxZ float64
	// MaxMissing is how many pixel layers a track may lack a hit on; 0 is 1.
	MaxMissing int
	// Sigmas is the half width of all search windows in standard deviations; 0 is 5.
	Sigmas float64
	// BeamSize (mm) is the width of the region, across the beam, in which collisions happen; 0 is 0.1.
	BeamSize float64
	// EventGap (ns) is how long after the first track of an event another one still belongs to it, beyond what a heavy
	// particle may be late; 0 is 0.5.
	EventGap float64
}

// Track is a reconstructed particle. Lengths are mm, times ns in the frame, momenta GeV.
type Track struct {
	// Event is the place of its event in [Frame.Events].
	Event int32
	// PT, Eta and Phi are at the closest approach to the beam line, D and Z the position there.
	PT, Eta, Phi, D, Z float64
	// Charge is +1 or -1, by the bend in the field.
	Charge int
	// Errors of one standard deviation.
	CurvatureError, PhiError, CotError, ZError float64
	// Time is when it left its vertex, TimeError its error. Precise says that the timing layer measured it. Mass (GeV) is the
	// particle assumed for its flight: the lightest that agrees with the event.
	Time, TimeError float64
	Precise         bool
	Mass            float64
	// Residual is Time less the event's time.
	Residual float64
	Chi2     float64
	NDF      int
	// Hits are places in the frame, in the order of the layers; -1 where there is none.
	Hits [maxLayers]int32

	cot   float64
	times [len(masses)]float64
}

// Event is a collision as found: tracks that left one place at one time.
type Event struct {
	Time, TimeError float64
	Z, ZError       float64
	// Tracks counts its tracks, Timed those whose times make its Time; Precise says that these are of the timing layer.
	Tracks, Timed int
	Precise       bool

	first, sumZ, weightZ float64
	number               int32
}

// Frame is what was found in one time frame. It is valid until the next one is reconstructed.
type Frame struct {
	Events []Event
	Tracks []Track
	// Skipped counts hits that no layer of this detector can have made.
	Skipped int
}

// Reconstructor finds tracks and events in time frames of one detector. It keeps its buffers from frame to frame and is
// for one goroutine.
type Reconstructor struct {
	cfg      Config
	field    float64
	maxKappa float64
	// layers are the pixels by radius, then the timing layer if there is one; place maps a layer's number in the file.
	layers     []layerHits
	place      []int
	pixels     int
	timing     int
	halfWindow float64
	// seeds are the triplets of layers on which searches start.
	seeds [][3]int

	candidates, found []candidate
	points            []point
	tracks            []Track
	events            []Event
	members           []int32
	order             []int32
}

// New prepares the reconstruction for a detector.
func New(g stf.Geometry, cfg Config) (*Reconstructor, error) {
	cfg.MinPT = cmp.Or(cfg.MinPT, 0.1)
	cfg.MaxD, cfg.MaxZ = cmp.Or(cfg.MaxD, 3), cmp.Or(cfg.MaxZ, 300)
	cfg.MaxMissing = cmp.Or(cfg.MaxMissing, 1)
	cfg.Sigmas = cmp.Or(cfg.Sigmas, 5)
	cfg.EventGap = cmp.Or(cfg.EventGap, 0.5)
	cfg.BeamSize = cmp.Or(cfg.BeamSize, 0.1)
	r := &Reconstructor{cfg: cfg, timing: -1}
	if err := r.setGeometry(g); err != nil {
		return nil, fmt.Errorf("reading the geometry of %q: %w", g.Name, err)
	}
	return r, nil
}

// Reconstruct finds the tracks and events of one frame.
func (r *Reconstructor) Reconstruct(f *stf.Frame) Frame {
	skipped := r.sortHits(f)
	r.found, r.tracks, r.events = r.found[:0], r.tracks[:0], r.events[:0]
	for _, s := range r.seeds {
		r.search(s[0], s[1], s[2])
		r.choose()
	}
	for i := range r.found {
		r.addTiming(&r.found[i])
		r.tracks = append(r.tracks, r.track(&r.found[i]))
	}
	r.findEvents()
	for i := range r.tracks {
		t := &r.tracks[i]
		t.Residual = t.Time - r.events[t.Event].Time
	}
	return Frame{Events: r.events, Tracks: r.tracks, Skipped: skipped}
}

// track turns a fitted candidate into what is handed out.
func (r *Reconstructor) track(c *candidate) Track {
	t := Track{
		Event: -1,
		PT:    kappaToPT * math.Abs(r.field/c.kappa), Eta: math.Asinh(c.cot), Phi: c.phi, D: c.d, Z: c.z0,
		Charge:         1,
		CurvatureError: math.Sqrt(c.covXY[0]), PhiError: math.Sqrt(c.covXY[3]), CotError: math.Sqrt(c.covZ[2]), ZError: math.Sqrt(c.covZ[0]),
		Chi2: c.chi2, NDF: 3*c.n - 6,
		cot: c.cot,
	}
	// A positive particle turns right in a field along z.
	if (c.kappa > 0) == (r.field > 0) {
		t.Charge = -1
	}
	r.setTimes(&t, c)
	for l := range t.Hits {
		t.Hits[l] = -1
		if l < len(r.layers) && c.on[l] >= 0 {
			t.Hits[l] = r.layers[l].hits[c.on[l]].index
		}
	}
	return t
}
