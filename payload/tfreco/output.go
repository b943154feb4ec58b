package tfreco

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/riofs"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
)

// record is one entry of the tree `tracks`: what was found in one frame. The tags are the names of its branches.
type record struct {
	TF int32 `groot:"tf"`

	NEvents    int32     `groot:"nevt"`
	EventTime  []float64 `groot:"evt_time[nevt]"`
	EventZ     []float32 `groot:"evt_z[nevt]"`
	EventTrack []int32   `groot:"evt_ntrk[nevt]"`

	NTracks int32     `groot:"ntrk"`
	Event   []int32   `groot:"trk_evt[ntrk]"`
	PT      []float32 `groot:"trk_pt[ntrk]"`
	Eta     []float32 `groot:"trk_eta[ntrk]"`
	Phi     []float32 `groot:"trk_phi[ntrk]"`
	Charge  []int32   `groot:"trk_charge[ntrk]"`
	D       []float32 `groot:"trk_d0[ntrk]"`
	Z       []float32 `groot:"trk_z0[ntrk]"`
	Time    []float64 `groot:"trk_time[ntrk]"`
	Chi2    []float32 `groot:"trk_chi2[ntrk]"`
	NDF     []int32   `groot:"trk_ndf[ntrk]"`
}

// basketBytes keeps the file of a slice to a few baskets per branch.
const basketBytes = 64 << 10

// output writes the ROOT file of a slice under a temporary name beside its own, so that a file of that name is always whole.
type output struct {
	path, temporary string
	file            *riofs.File
	tree            rtree.Writer
	rec             record
}

func createOutput(path string) (*output, error) {
	o := &output{path: path, temporary: filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")}
	var err error
	if o.file, err = groot.Create(o.temporary); err != nil {
		return nil, err
	}
	o.tree, err = rtree.NewWriter(o.file, "tracks", rtree.WriteVarsFromStruct(&o.rec),
		rtree.WithTitle("reconstructed tracks and events, one entry per time frame"), rtree.WithLZ4(1), rtree.WithBasketSize(basketBytes))
	if err != nil {
		return nil, errors.Join(err, o.abandon())
	}
	return o, nil
}

// add writes one frame.
func (o *output) add(tf int, f Frame) error {
	r := &o.rec
	r.TF, r.NEvents, r.NTracks = int32(tf), int32(len(f.Events)), int32(len(f.Tracks))
	r.EventTime, r.EventZ, r.EventTrack = r.EventTime[:0], r.EventZ[:0], r.EventTrack[:0]
	for i := range f.Events {
		e := &f.Events[i]
		r.EventTime = append(r.EventTime, e.Time)
		r.EventZ = append(r.EventZ, float32(e.Z))
		r.EventTrack = append(r.EventTrack, int32(e.Tracks))
	}
	r.Event, r.PT, r.Eta, r.Phi, r.Charge = r.Event[:0], r.PT[:0], r.Eta[:0], r.Phi[:0], r.Charge[:0]
	r.D, r.Z, r.Time, r.Chi2, r.NDF = r.D[:0], r.Z[:0], r.Time[:0], r.Chi2[:0], r.NDF[:0]
	for i := range f.Tracks {
		t := &f.Tracks[i]
		r.Event = append(r.Event, t.Event)
		r.PT = append(r.PT, float32(t.PT))
		r.Eta = append(r.Eta, float32(t.Eta))
		r.Phi = append(r.Phi, float32(t.Phi))
		r.Charge = append(r.Charge, int32(t.Charge))
		r.D = append(r.D, float32(t.D))
		r.Z = append(r.Z, float32(t.Z))
		r.Time = append(r.Time, t.Time)
		r.Chi2 = append(r.Chi2, float32(t.Chi2))
		r.NDF = append(r.NDF, int32(t.NDF))
	}
	_, err := o.tree.Write()
	return err
}

// finish adds the histograms and gives the file its name.
func (o *output) finish(histograms []*hist.H1) error {
	if err := o.tree.Close(); err != nil {
		return errors.Join(err, o.abandon())
	}
	for _, h := range histograms {
		if err := o.file.Put(h.Name, rootfile.H1D(h)); err != nil {
			return errors.Join(fmt.Errorf("histogram %s: %w", h.Name, err), o.abandon())
		}
	}
	if err := o.file.Close(); err != nil {
		return errors.Join(err, os.Remove(o.temporary))
	}
	return os.Rename(o.temporary, o.path)
}

// abandon removes what was written so far.
func (o *output) abandon() error {
	return errors.Join(o.file.Close(), os.Remove(o.temporary))
}
