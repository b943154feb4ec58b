package stf_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/stf"
)

// everyType are columns of all types that pass through, of three hits.
func everyType() map[string]any {
	return map[string]any{
		"i8": []int8{-1, 2, 3}, "i16": []int16{-1, 2, 3}, "i32": []int32{-1, 2, 3}, "i64": []int64{-1, 2, 1 << 60},
		"u8": []uint8{1, 2, 255}, "u16": []uint16{1, 2, 65535}, "u32": []uint32{1, 2, 1 << 31}, "u64": []uint64{1, 2, 1 << 63},
		"f32": []float32{1, 2, 0.1}, "f64": []float64{1, 2, 0.1},
	}
}

// bare is a detector that is known by its name only.
func bare() stf.Geometry { return stf.Geometry{Name: "somebody's", FrameNS: 1000} }

func TestColumnsOfEveryTypePassThroughAndHitsNeedNoLayers(t *testing.T) {
	t.Parallel()
	f := stf.Frame{Time: []float64{1, 2, 3}, Extra: everyType()}
	f.Extra["x"] = []float64{1, 2, 3} // without layers the name means nothing here
	path := filepath.Join(t.TempDir(), "a.stf")
	w, err := stf.Create(path, bare(), &f)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&f); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := stf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := r.Read(0, 0, func(got *stf.Frame) error {
		if diff := cmp.Diff(&f, got); diff != "" {
			t.Error(diff)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if c := r.Columns(); len(c) != 11 || c["u64"] != "uint64" || c["x"] != "float64" {
		t.Errorf("%v", c)
	}
}

func TestAHitOnLayersHasAPlace(t *testing.T) {
	t.Parallel()
	w, err := stf.Create(filepath.Join(t.TempDir(), "a.stf"), geometry(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Write(&stf.Frame{Time: []float64{1}}); err == nil || !strings.Contains(err.Error(), "different lengths") {
		t.Errorf("got %v", err)
	}
}

func TestValuesAreGatheredFromSeveralColumns(t *testing.T) {
	t.Parallel()
	places := []stf.Place{{Column: 1, Index: 0}, {Column: 0, Index: 2}, {Column: 1, Index: 1}}
	for name, c := range everyType() {
		got, err := stf.Gather([]any{c, c}, places)
		if err != nil {
			t.Fatal(err)
		}
		want, err := stf.Gather([]any{c}, []stf.Place{{Index: 0}, {Index: 2}, {Index: 1}})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if got, err := stf.Gather([]any{[]int8{1, 2, 3}, []int8{4, 5}}, places); err != nil || !cmp.Equal(got, []int8{4, 3, 5}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range [][]any{{}, {[]int8{1}, []int16{1}}, {[]string{"a"}}, {3}} {
		if got, err := stf.Gather(bad, nil); err == nil {
			t.Errorf("%v became %v", bad, got)
		}
	}
}
