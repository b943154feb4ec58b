package stf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
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
	*source
	geometry    Geometry
	hits, truth rtree.Tree
	time        branch
	columns     []branch
	total       int64
}

// eventFile is what is to be in it.
var eventFile = content{
	words:   "file of simulated events",
	next:    "it needs a tree `hits` with a counted column `time`; docs/time-frame-files.md says it all",
	damaged: "make the file again, or copy it again",
}

// eventTruth are the branches of the tree truth, with the types of their leaves and their counters.
var eventTruth = []branch{
	{name: "evt_x", typeName: "float32"},
	{name: "evt_y", typeName: "float32"},
	{name: "evt_z", typeName: "float32"},
	{name: "trk_pt", typeName: "float32", counter: "ntrk"},
	{name: "trk_eta", typeName: "float32", counter: "ntrk"},
	{name: "trk_phi", typeName: "float32", counter: "ntrk"},
	{name: "trk_charge", typeName: "int32", counter: "ntrk"},
	{name: "hit_trk", typeName: "int32", counter: "nref"},
}

// OpenEvents opens a file of simulated events and checks what is in it, but not yet its values.
func OpenEvents(path string) (r *EventReader, err error) {
	src, err := openSource(path, eventFile)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = src.src.Close()
			r = nil
		}
	}()
	defer recoverInto(&err, path)
	r = &EventReader{source: src}
	return r, r.open()
}

func (r *EventReader) open() error {
	if err := r.needKeys(hitsTree); err != nil {
		return err
	}
	var err error
	if r.hits, err = r.tree(hitsTree); err != nil {
		return err
	}
	if r.hits.Entries() == 0 {
		return r.other("there is no event in it")
	}
	if r.hits.Entries() > math.MaxInt32 {
		return r.other("%d events are too many", r.hits.Entries())
	}
	found := branches(r.hits)
	t, ok := found["time"]
	switch {
	case !ok || t.counter == "" || t.array:
		return r.other("its tree %s has no counted column `time`", hitsTree)
	case t.typeName != "float64" && t.typeName != "float32":
		return r.other("the column time holds %s, not float32 or float64", t.typeName)
	case found[t.counter].typeName != "int32":
		return r.other("%s, which counts the hits, is no int32", t.counter)
	}
	r.time = t
	if err := r.checkCounts(r.hits, t.counter, 0, r.Len()-1, func(n int) { r.total += int64(n) }); err != nil {
		return err
	}
	ofHits := map[string]bool{t.counter: true}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		b := found[name]
		// A column of event numbers would tell what is to be found.
		if b.counter == "" || name == t.name || name == "event" {
			continue
		}
		if _, known := ofHits[b.counter]; !known {
			if ofHits[b.counter], err = r.sameCount(found[b.counter]); err != nil {
				return err
			}
		}
		if !ofHits[b.counter] {
			continue
		}
		if typeNamed(b.typeName) == nil || b.array {
			return r.other("the column %s holds what cannot pass through (%s)", name, b.typeName)
		}
		if reserved(name) {
			return r.other("a column %s: a time-frame file has one of its own", name)
		}
		r.columns = append(r.columns, b)
	}
	if err := r.openTruth(); err != nil {
		return err
	}
	return r.readGeometry()
}

// sameCount says whether another counter has the number of hits in every event: some producers count each column by itself.
func (r *EventReader) sameCount(counter branch) (bool, error) {
	if counter.typeName != "int32" {
		return false, nil
	}
	var n, other int32
	same := true
	err := r.scan(r.hits, []rtree.ReadVar{{Name: r.time.counter, Value: &n}, {Name: counter.name, Value: &other}}, 0, r.Len()-1, func() error {
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
	if !r.has(truthTree) {
		return nil
	}
	if r.truth, err = r.tree(truthTree); err != nil {
		return err
	}
	found := branches(r.truth)
	for _, want := range eventTruth {
		if found[want.name] == want {
			continue
		}
		number := "one per event"
		if want.counter != "" {
			number = "counted by " + want.counter
		}
		return r.other("its tree %s has no column %s (%s, %s)", truthTree, want.name, want.typeName, number)
	}
	if r.truth.Entries() != r.hits.Entries() {
		return r.other("%d events have hits, and %d a truth", r.hits.Entries(), r.truth.Entries())
	}
	return nil
}

// readGeometry reads the detector's name and field, which are not needed here, but by who works on the hits.
func (r *EventReader) readGeometry() error {
	r.geometry = Geometry{Name: "unknown"}
	if !r.has(geometryKey) {
		return nil
	}
	text, err := r.text(geometryKey)
	if err != nil {
		return r.corrupt(err)
	}
	if err := json.Unmarshal([]byte(text), &r.geometry); err != nil {
		return r.other("its %s is not as it should be: %s", geometryKey, line(err))
	}
	return nil
}

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
		n += typeNamed(b.typeName).bytes()
	}
	return n
}

// Read reads the events first..last (inclusive).
func (r *EventReader) Read(first, last int) (e *Events, err error) {
	if first < 0 || last < first || last >= r.Len() {
		return nil, exitcode.New(exitcode.DataRange, "events %d to %d of %s: it holds 0 to %d", first, last, r.path, r.Len()-1)
	}
	defer recoverInto(&err, r.path)
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
	vars := []rtree.ReadVar{{Name: r.time.name, Value: &double}}
	if r.time.typeName == "float32" {
		vars[0].Value = &single
	}
	pointers := make([]any, len(r.columns))
	for i, b := range r.columns {
		pointers[i] = typeNamed(b.typeName).pointer()
		vars = append(vars, rtree.ReadVar{Name: b.name, Value: pointers[i]})
		e.Columns[b.name] = typeNamed(b.typeName).value(pointers[i]) // of its type, also when no event has a hit
	}
	return r.scan(r.hits, vars, first, last, func() error {
		number, n := first+e.Len(), max(len(single), len(double))
		for _, t := range single {
			e.Time = append(e.Time, float64(t))
		}
		e.Time = append(e.Time, double...)
		for _, t := range e.Time[len(e.Time)-n:] {
			if math.IsNaN(t) || math.IsInf(t, 0) {
				return r.other("event %d has a hit at the time %g", number, t)
			}
		}
		for i, b := range r.columns {
			t := typeNamed(b.typeName)
			values := t.value(pointers[i])
			if t.len(values) != n {
				return r.corrupt(fmt.Errorf("event %d has %d hits and %d values of %s", number, n, t.len(values), b.name))
			}
			e.Columns[b.name] = t.append(e.Columns[b.name], values)
		}
		e.HitStart = append(e.HitStart, len(e.Time))
		return nil
	})
}

func (r *EventReader) readTruth(e *Events, first, last int) error {
	for _, count := range []string{"ntrk", "nref"} {
		if err := r.checkCounts(r.truth, count, first, last, nil); err != nil {
			return err
		}
	}
	var x, y, z float32
	var pt, eta, phi []float32
	var charge, hitTrack []int32
	event := 0
	return r.scan(r.truth, []rtree.ReadVar{
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
			return r.other("event %d has %d hits, and the particles of %d", first+event, n, len(hitTrack))
		}
		for _, track := range hitTrack {
			if track < -1 || int(track) >= len(pt) {
				return r.other("event %d has a hit of particle %d of %d", first+event, track, len(pt))
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
