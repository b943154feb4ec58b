package stf_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rbase"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

// hits and truth are one event of a file as a producer writes it; the tags are the names of the branches.
type hits struct {
	Number int32     `groot:"number"`
	N      int32     `groot:"n"`
	Time   []float32 `groot:"time[n]"`
	Event  []int32   `groot:"event[n]"`
	Cell   []uint64  `groot:"cell[n]"`
	M      int32     `groot:"m"`
	Energy []float64 `groot:"energy[m]"`
	Cells  int32     `groot:"cells"`
	Noise  []float32 `groot:"noise[cells]"`
}

type truth struct {
	X        float32   `groot:"evt_x"`
	Y        float32   `groot:"evt_y"`
	Z        float32   `groot:"evt_z"`
	N        int32     `groot:"ntrk"`
	PT       []float32 `groot:"trk_pt[ntrk]"`
	Eta      []float32 `groot:"trk_eta[ntrk]"`
	Phi      []float32 `groot:"trk_phi[ntrk]"`
	Charge   []int32   `groot:"trk_charge[ntrk]"`
	Refs     int32     `groot:"nref"`
	HitTrack []int32   `groot:"hit_trk[nref]"`
}

// eventTree is a tree of a file of simulated events: its row is a pointer to a struct, which fill fills with event i.
type eventTree struct {
	name   string
	row    any
	events int
	fill   func(i int)
}

func writeEvents(tb testing.TB, path string, geometry string, trees ...eventTree) {
	tb.Helper()
	f, err := groot.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if geometry != "" {
		if err := f.Put("geometry", rbase.NewObjString(geometry)); err != nil {
			tb.Fatal(err)
		}
	}
	for _, tree := range trees {
		w, err := rtree.NewWriter(f, tree.name, rtree.WriteVarsFromStruct(tree.row))
		if err != nil {
			tb.Fatal(err)
		}
		for i := range tree.events {
			tree.fill(i)
			if _, err := w.Write(); err != nil {
				tb.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

// hitsTree makes events of which number i has i hits.
func hitsTree(events int) eventTree {
	row := &hits{}
	return eventTree{"hits", row, events, func(i int) {
		*row = hits{Number: int32(100 + i), N: int32(i), M: int32(i), Cells: 1, Noise: []float32{0}}
		for h := range i {
			row.Time = append(row.Time, float32(h)/2)
			row.Event = append(row.Event, int32(i))
			row.Cell = append(row.Cell, 1<<60+uint64(10*i+h))
			row.Energy = append(row.Energy, float64(i))
		}
	}}
}

// truthTree gives every event two particles; the first hit is noise, the others are of the second particle.
func truthTree(events int) eventTree {
	row := &truth{}
	return eventTree{"truth", row, events, func(i int) {
		*row = truth{
			Z: float32(i), N: 2, PT: []float32{1, 2}, Eta: []float32{0, 0}, Phi: []float32{0, 3}, Charge: []int32{1, -1},
			Refs: int32(i), HitTrack: make([]int32, i),
		}
		for h := range i {
			row.HitTrack[h] = min(int32(h), 1)
		}
		if i > 0 {
			row.HitTrack[0] = -1
		}
	}}
}

func TestEventsComeBackInAnyRange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.root")
	writeEvents(t, path, `{"name": "toy", "field_tesla": 2}`, hitsTree(10), truthTree(10))
	r, err := stf.OpenEvents(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if g := r.Geometry(); r.Len() != 10 || r.Hits() != 45 || r.HitBytes() != 12+16 || g.Name != "toy" || g.FieldTesla != 2 {
		t.Errorf("%d events, %d hits of %d bytes, %+v", r.Len(), r.Hits(), r.HitBytes(), g)
	}
	got, err := r.Read(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	// The column of event numbers is gone, and so is what is not one value per hit. That energies have a counter of their own does not
	// matter.
	want := &stf.Events{
		HitStart: []int{0, 2, 5}, TrackStart: []int{0, 2, 4}, Time: []float64{0, 0.5, 0, 0.5, 1},
		Columns: map[string]any{"cell": []uint64{1<<60 + 20, 1<<60 + 21, 1<<60 + 30, 1<<60 + 31, 1<<60 + 32}, "energy": []float64{2, 2, 3, 3, 3}},
		X:       []float32{0, 0}, Y: []float32{0, 0}, Z: []float32{2, 3}, TrackPT: []float32{1, 2, 1, 2}, TrackEta: make([]float32, 4),
		TrackPhi: []float32{0, 3, 0, 3}, TrackCharge: []int32{1, -1, 1, -1}, HitTrack: []int32{-1, 1, -1, 1, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if none, err := r.Read(0, 0); err != nil || none.Len() != 1 || len(none.Time) != 0 || none.Columns["cell"].([]uint64) != nil {
		t.Errorf("an event without hits: %+v, %v", none, err)
	}
	if _, err := r.Read(9, 10); exitcode.From(err) != exitcode.DataRange {
		t.Errorf("got %v", err)
	}
}

func TestEventsNeedNoTruthAndNoName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.root")
	writeEvents(t, path, "", hitsTree(3))
	r, err := stf.OpenEvents(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if e, err := r.Read(0, 2); err != nil || e.Len() != 3 || len(e.HitTrack) != 0 || r.Geometry().Name != "unknown" {
		t.Errorf("%+v, %v, %+v", e, err, r.Geometry())
	}
}

func TestWhatIsNoFileOfEventsSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	type scalarTime struct {
		Time float32 `groot:"time"`
	}
	type wholeTime struct {
		N    int32   `groot:"n"`
		Time []int32 `groot:"time[n]"`
	}
	type taken struct {
		N    int32     `groot:"n"`
		Time []float32 `groot:"time[n]"`
		CRC  []int32   `groot:"crc[n]"`
	}
	type flag struct {
		N    int32     `groot:"n"`
		Time []float32 `groot:"time[n]"`
		Flag []bool    `groot:"flag[n]"`
	}
	simple := func(row any) eventTree { return eventTree{"hits", row, 1, func(int) {}} }
	named := func(name string, tree eventTree) eventTree { tree.name = name; return tree }
	wrongTruth := truthTree(3)
	wrongTruth.row = &struct {
		X int32 `groot:"evt_x"`
	}{}
	wrongTruth.fill = func(int) {}
	// bent is a tree whose events are changed before they are written.
	bent := func(tree eventTree, change func(i int, row any)) eventTree {
		fill := tree.fill
		tree.fill = func(i int) { fill(i); change(i, tree.row) }
		return tree
	}
	for _, c := range []struct {
		name, geometry, want string
		trees                []eventTree
	}{
		{"another tree", "", "no hits; it holds events (TTree)", []eventTree{named("events", hitsTree(3))}},
		{"nothing", "", "no hits; it holds nothing", nil},
		{"no event", "", "there is no event in it", []eventTree{hitsTree(0)}},
		{"one time per event", "", "no counted column `time`", []eventTree{simple(&scalarTime{})}},
		{"whole times", "", "time holds int32, not float32 or float64", []eventTree{simple(&wholeTime{N: 1, Time: []int32{1}})}},
		{"truth values", "", "the column flag holds what cannot pass through (bool)", []eventTree{simple(&flag{N: 1, Time: []float32{1}, Flag: []bool{true}})}},
		{"a name of ours", "", "a column crc: a time-frame file has one of its own", []eventTree{simple(&taken{N: 1, Time: []float32{1}, CRC: []int32{1}})}},
		{"a truth of other columns", "", "its tree truth has no column evt_x (float32, one per event)", []eventTree{hitsTree(3), wrongTruth}},
		{"a truth of fewer events", "", "3 events have hits, and 2 a truth", []eventTree{hitsTree(3), truthTree(2)}},
		{"a truth of other hits", "", "event 1 has 1 hits, and the particles of 0", []eventTree{hitsTree(3), bent(truthTree(3), func(_ int, row any) {
			row.(*truth).Refs, row.(*truth).HitTrack = 0, nil
		})}},
		{"a particle that is not there", "", "event 2 has a hit of particle 5 of 2", []eventTree{hitsTree(3), bent(truthTree(3), func(i int, row any) {
			if i == 2 {
				row.(*truth).HitTrack[1] = 5
			}
		})}},
		{"a time that is no number", "", "event 2 has a hit at the time NaN", []eventTree{bent(hitsTree(3), func(i int, row any) {
			if i == 2 {
				row.(*hits).Time[1] = float32(math.NaN())
			}
		})}},
		{"a geometry of no form", "[", "its geometry is not as it should be", []eventTree{hitsTree(3)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "events.root")
			writeEvents(t, path, c.geometry, c.trees...)
			r, err := stf.OpenEvents(path)
			if err == nil {
				_, err = r.Read(0, r.Len()-1)
				_ = r.Close()
			}
			if exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) ||
				!strings.Contains(exitcode.Next(err), "docs/time-frame-files.md") {
				t.Errorf("got %v (%s)", err, exitcode.Next(err))
			}
		})
	}
}

func TestADamagedFileOfEventsIsAnErrorOfClassData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.root"), filepath.Join(dir, "bad.root")
	writeEvents(t, good, "", hitsTree(12), truthTree(12))
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	read := func(content []byte) error {
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := stf.OpenEvents(bad)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		_, err = r.Read(0, r.Len()-1)
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += len(whole)/50 + 1 {
		if err := read(whole[:n]); exitcode.From(err) != exitcode.DataCorrupt {
			t.Errorf("truncated after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	// A wrong byte may be a wrong value, which nothing notices, but it never ends the process or says more than a line.
	for at := 0; at < len(whole); at += 31 {
		content := bytes.Clone(whole)
		content[at] ^= 1 << (at % 8)
		if err := read(content); err != nil && (exitcode.From(err) != exitcode.DataCorrupt || strings.Contains(err.Error(), "\n")) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if _, err := stf.OpenEvents(filepath.Join(dir, "none")); exitcode.From(err) != exitcode.DataMissing {
		t.Errorf("got %v", err)
	}
}
