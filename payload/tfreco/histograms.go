package tfreco

import (
	"math"

	"tfpilot/internal/hist"
	"tfpilot/internal/stf"
)

// histograms are what the control room sees of a slice. Their binning is fixed, so that those of all slices merge.
type histograms struct {
	pt, eta, phi, vertexZ *hist.H1
	events, tracks        *hist.H1
	layers, residual      *hist.H1
}

func newHistograms(g stf.Geometry) *histograms {
	n := len(g.Layers)
	h := &histograms{
		pt:       hist.New1D("track_pt", "track pT", "GeV", 100, 0, 5),
		eta:      hist.New1D("track_eta", "track η", "", 80, -2, 2),
		phi:      hist.New1D("track_phi", "track φ", "rad", 72, -math.Pi, math.Pi),
		vertexZ:  hist.New1D("vertex_z", "vertex z", "mm", 100, -200, 200),
		events:   hist.New1D("events_per_frame", "events per time frame", "", 100, -0.5, 99.5),
		tracks:   hist.New1D("tracks_per_event", "tracks per event", "", 50, -0.5, 49.5),
		layers:   hist.New1D("hits_per_layer", "hits by layer", "", n, -0.5, float64(n)-0.5),
		residual: hist.New1D("time_residual", "track time − event time", "ns", 100, -0.2, 0.2),
	}
	h.pt.LogY = true
	return h
}

func (h *histograms) fill(in *stf.Frame, out Frame) {
	for _, l := range in.Layer {
		h.layers.Fill(float64(l))
	}
	h.events.Fill(float64(len(out.Events)))
	for i := range out.Events {
		h.vertexZ.Fill(out.Events[i].Z)
		h.tracks.Fill(float64(out.Events[i].Tracks))
	}
	for i := range out.Tracks {
		t := &out.Tracks[i]
		h.pt.Fill(t.PT)
		h.eta.Fill(t.Eta)
		h.phi.Fill(t.Phi)
		// Of an event with one precise track the residual is zero by construction.
		if t.Precise && out.Events[t.Event].Timed > 1 {
			h.residual.Fill(t.Residual)
		}
	}
}

// all is in the order in which a page shows them.
func (h *histograms) all() []*hist.H1 {
	return []*hist.H1{h.pt, h.eta, h.phi, h.vertexZ, h.events, h.tracks, h.layers, h.residual}
}
