package stf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
)

// Events are consecutive events of a file, as columns over all of their hits and particles.
type Events struct {
	// HitStart and TrackStart have one value more than there are events: the hits of event i are HitStart[i] to HitStart[i+1].
	HitStart, TrackStart []int
	// Time of each hit is in ns since the collision.
	Time []float64
	// Columns are all others that are counted as Time is, in their own types.
	Columns map[string]any
	// The truth is empty where the file has none. One value per event: the vertex (mm).
	X, Y, Z []float32
	// One value per particle.
	TrackPT, TrackEta, TrackPhi []float32
	TrackCharge                 []int32
	// HitTrack is one value per hit: its particle, counted from 0 in its event, or -1.
	HitTrack []int32
}

// Len is the number of events.
func (e *Events) Len() int { return len(e.HitStart) - 1 }

// EventReader reads a file of simulated events (docs/time-frame-files.md): the tree `hits` with one entry per event and a counted
// column `time`, and the tree `truth` if there is one. One goroutine uses it at a time.
type EventReader struct {
	file        *rootfile.File
	geometry    Geometry
	hits, truth *rootfile.Tree
	time        rootfile.Branch
	columns     []rootfile.Branch
	total       int64
}

// eventFile is what is to be in it.
var eventFile = rootfile.Kind{
	Words:    "file of simulated events",
	Next:     "it needs a tree `hits` with a counted column `time`; docs/time-frame-files.md says it all",
	Damaged:  "make the file again, or copy it again",
	MaxCount: MaxHits,
}

// eventTruth are the branches of the tree truth, with the types of their leaves and their counters.
var eventTruth = []rootfile.Branch{
	{Name: "evt_x", Type: "float32"},
	{Name: "evt_y", Type: "float32"},
	{Name: "evt_z", Type: "float32"},
	{Name: "trk_pt", Type: "float32", Counter: "ntrk"},
	{Name: "trk_eta", Type: "float32", Counter: "ntrk"},
	{Name: "trk_phi", Type: "float32", Counter: "ntrk"},
	{Name: "trk_charge", Type: "int32", Counter: "ntrk"},
	{Name: "hit_trk", Type: "int32", Counter: "nref"},
}

// OpenEvents opens a file of simulated events and checks what is in it, but not yet its values.
func OpenEvents(path string) (r *EventReader, err error) {
	f, err := rootfile.Open(path, eventFile)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			r = nil
		}
	}()
	defer f.Recover(&err)
	r = &EventReader{file: f}
	return r, r.open()
}

func (r *EventReader) open() error {
	if err := r.file.Need(hitsTree); err != nil {
		return err
	}
	var err error
	if r.hits, err = r.file.Tree(hitsTree); err != nil {
		return err
	}
	if r.hits.Entries() == 0 {
		return r.file.Other("there is no event in it")
	}
	if r.hits.Entries() > math.MaxInt32 {
		return r.file.Other("%d events are too many", r.hits.Entries())
	}
	found := r.hits.Branches()
	t, ok := found["time"]
	switch {
	case !ok || t.Counter == "" || t.Array:
		return r.file.Other("its tree %s has no counted column `time`", hitsTree)
	case t.Type != "float64" && t.Type != "float32":
		return r.file.Other("the column time holds %s, not float32 or float64", t.Type)
	case found[t.Counter].Type != "int32":
		return r.file.Other("%s, which counts the hits, is no int32", t.Counter)
	}
	r.time = t
	if err := r.hits.CheckCounts(t.Counter, 0, r.Len()-1, func(n int) { r.total += int64(n) }); err != nil {
		return err
	}
	ofHits := map[string]bool{t.Counter: true}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		b := found[name]
		// A column of event numbers would tell what is to be found.
		if b.Counter == "" || name == t.Name || name == "event" {
			continue
		}
		if _, known := ofHits[b.Counter]; !known {
			if ofHits[b.Counter], err = r.sameCount(found[b.Counter]); err != nil {
				return err
			}
		}
		if !ofHits[b.Counter] {
			continue
		}
		if typeNamed(b.Type) == nil || b.Array {
			return r.file.Other("the column %s holds what cannot pass through (%s)", name, b.Type)
		}
		if reserved(name) {
			return r.file.Other("a column %s: a time-frame file has one of its own", name)
		}
		r.columns = append(r.columns, b)
	}
	if err := r.openTruth(); err != nil {
		return err
	}
	return r.readGeometry()
}

// sameCount says whether another counter has the number of hits in every event: some producers count each column by itself.
func (r *EventReader) sameCount(counter rootfile.Branch) (bool, error) {
	if counter.Type != "int32" {
		return false, nil
	}
	var n, other int32
	same := true
	err := r.hits.Scan([]rtree.ReadVar{{Name: r.time.Counter, Value: &n}, {Name: counter.Name, Value: &other}}, 0, r.Len()-1, func() error {
		same = same && n == other
		return nil
	})
	return same, err
}

// reserved are the names that the trees of a time-frame file need for themselves.
func reserved(name string) bool {
	_, known := schema[name]
	return known
}

func (r *EventReader) openTruth() (err error) {
	if !r.file.Has(truthTree) {
		return nil
	}
	if r.truth, err = r.file.Tree(truthTree); err != nil {
		return err
	}
	found := r.truth.Branches()
	for _, want := range eventTruth {
		if found[want.Name] == want {
			continue
		}
		number := "one per event"
		if want.Counter != "" {
			number = "counted by " + want.Counter
		}
		return r.file.Other("its tree %s has no column %s (%s, %s)", truthTree, want.Name, want.Type, number)
	}
	if r.truth.Entries() != r.hits.Entries() {
		return r.file.Other("%d events have hits, and %d a truth", r.hits.Entries(), r.truth.Entries())
	}
	return nil
}

// readGeometry reads the detector's name and field, which are not needed here, but by who works on the hits.
func (r *EventReader) readGeometry() error {
	r.geometry = Geometry{Name: "unknown"}
	if !r.file.Has(geometryKey) {
		return nil
	}
	text, err := r.file.Text(geometryKey)
	if err != nil {
		return r.file.Corrupt(err)
	}
	if err := json.Unmarshal([]byte(text), &r.geometry); err != nil {
		return r.file.Other("its %s is not as it should be: %s", geometryKey, rootfile.Cause(err))
	}
	return nil
}

// Close closes the file.
func (r *EventReader) Close() error { return r.file.Close() }

// Geometry is the detector as far as the file names it.
func (r *EventReader) Geometry() Geometry { return r.geometry }

// Len is the number of events in the file.
func (r *EventReader) Len() int { return int(r.hits.Entries()) }

// Hits is the number of hits in the file.
func (r *EventReader) Hits() int64 { return r.total }

// HitBytes is the size of one hit in memory.
func (r *EventReader) HitBytes() int {
	n := 8 + 4 // time, particle
	for _, b := range r.columns {
		n += typeNamed(b.Type).bytes()
	}
	return n
}

// Read reads the events first..last (inclusive).
func (r *EventReader) Read(first, last int) (e *Events, err error) {
	if first < 0 || last < first || last >= r.Len() {
		return nil, exitcode.New(exitcode.DataRange, "events %d to %d of %s: it holds 0 to %d", first, last, r.file.Path(), r.Len()-1)
	}
	defer r.file.Recover(&err)
	e = &Events{HitStart: []int{0}, TrackStart: []int{0}, Columns: map[string]any{}}
	if err := r.readHits(e, first, last); err != nil {
		return nil, err
	}
	if r.truth != nil {
		if err := r.readTruth(e, first, last); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (r *EventReader) readHits(e *Events, first, last int) error {
	var single []float32
	var double []float64
	vars := []rtree.ReadVar{{Name: r.time.Name, Value: &double}}
	if r.time.Type == "float32" {
		vars[0].Value = &single
	}
	pointers := make([]any, len(r.columns))
	for i, b := range r.columns {
		pointers[i] = typeNamed(b.Type).pointer()
		vars = append(vars, rtree.ReadVar{Name: b.Name, Value: pointers[i]})
		e.Columns[b.Name] = typeNamed(b.Type).value(pointers[i]) // of its type, also when no event has a hit
	}
	return r.hits.Scan(vars, first, last, func() error {
		number, n := first+e.Len(), max(len(single), len(double))
		for _, t := range single {
			e.Time = append(e.Time, float64(t))
		}
		e.Time = append(e.Time, double...)
		for _, t := range e.Time[len(e.Time)-n:] {
			if math.IsNaN(t) || math.IsInf(t, 0) {
				return r.file.Other("event %d has a hit at the time %g", number, t)
			}
		}
		for i, b := range r.columns {
			t := typeNamed(b.Type)
			values := t.value(pointers[i])
			if t.len(values) != n {
				return r.file.Corrupt(fmt.Errorf("event %d has %d hits and %d values of %s", number, n, t.len(values), b.Name))
			}
			e.Columns[b.Name] = t.append(e.Columns[b.Name], values)
		}
		e.HitStart = append(e.HitStart, len(e.Time))
		return nil
	})
}

func (r *EventReader) readTruth(e *Events, first, last int) error {
	for _, count := range []string{"ntrk", "nref"} {
		if err := r.truth.CheckCounts(count, first, last, nil); err != nil {
			return err
		}
	}
	var x, y, z float32
	var pt, eta, phi []float32
	var charge, hitTrack []int32
	event := 0
	return r.truth.Scan([]rtree.ReadVar{
		{Name: "evt_x", Value: &x},
		{Name: "evt_y", Value: &y},
		{Name: "evt_z", Value: &z},
		{Name: "trk_pt", Value: &pt},
		{Name: "trk_eta", Value: &eta},
		{Name: "trk_phi", Value: &phi},
		{Name: "trk_charge", Value: &charge},
		{Name: "hit_trk", Value: &hitTrack},
	}, first, last, func() error {
		if n := e.HitStart[event+1] - e.HitStart[event]; len(hitTrack) != n {
			return r.file.Other("event %d has %d hits, and the particles of %d", first+event, n, len(hitTrack))
		}
		for _, track := range hitTrack {
			if track < -1 || int(track) >= len(pt) {
				return r.file.Other("event %d has a hit of particle %d of %d", first+event, track, len(pt))
			}
		}
		e.X, e.Y, e.Z = append(e.X, x), append(e.Y, y), append(e.Z, z)
		e.TrackPT, e.TrackEta, e.TrackPhi = append(e.TrackPT, pt...), append(e.TrackEta, eta...), append(e.TrackPhi, phi...)
		e.TrackCharge, e.HitTrack = append(e.TrackCharge, charge...), append(e.HitTrack, hitTrack...)
		e.TrackStart = append(e.TrackStart, len(e.TrackPT))
		event++
		return nil
	})
}
