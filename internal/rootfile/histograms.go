package rootfile

import (
	"errors"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rhist"
	"go-hep.org/x/hep/hbook"
	"go-hep.org/x/hep/hbook/rootcnv"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
)

// WriteHistograms writes histograms as TH1D into a new ROOT file. Entries that were not a number have no place in ROOT.
func WriteHistograms(path string, list []*hist.H1) (err error) {
	defer Recover(&err, path)
	f, err := groot.Create(path)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "creating %s: %w", path, Cause(err))
	}
	for _, h := range list {
		if err := f.Put(h.Name, H1D(h)); err != nil {
			return errors.Join(exitcode.New(exitcode.SiteNoSpace, "writing histogram %s into %s: %w", h.Name, path, Cause(err)), f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "closing %s: %w", path, Cause(err))
	}
	return nil
}

// H1D is a histogram as ROOT has it: it fills every bin with its count at its centre, then sets the sums to the true ones.
func H1D(h *hist.H1) *rhist.H1D {
	b := hbook.NewH1D(h.NBins, h.Low, h.High)
	b.Annotation()["name"], b.Annotation()["title"] = h.Name, h.Title
	set := func(d *hbook.Dist1D, n, sumX, sumX2 float64) {
		d.Dist = hbook.Dist0D{N: int64(n), SumW: n, SumW2: n}
		d.Stats.SumWX, d.Stats.SumWX2 = sumX, sumX2
	}
	width := (h.High - h.Low) / float64(h.NBins)
	for i, n := range h.Counts {
		x := h.Low + (float64(i)+0.5)*width
		set(&b.Binning.Bins[i].Dist, n, n*x, n*x*x)
	}
	set(&b.Binning.Outflows[0], h.Underflow, 0, 0)
	set(&b.Binning.Outflows[1], h.Overflow, 0, 0)
	set(&b.Binning.Dist, h.Entries-h.NaN, h.SumWX, h.SumWX2)
	b.Binning.Dist.Dist.SumW, b.Binning.Dist.Dist.SumW2 = h.SumW, h.SumW
	return rhist.NewH1DFrom(b)
}

// ReadHistograms reads every TH1 of a ROOT file.
func ReadHistograms(path string) (list []*hist.H1, err error) {
	f, err := Open(path, Kind{Words: "file of histograms"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	defer f.Recover(&err)
	for _, key := range f.root.Keys() {
		object, err := key.Object()
		if err != nil {
			return nil, exitcode.New(exitcode.DataCorrupt, "reading %s of %s: %w", key.Name(), path, err)
		}
		th1, ok := object.(rhist.H1)
		if !ok {
			continue
		}
		b := rootcnv.H1D(th1)
		n := len(b.Binning.Bins)
		if n == 0 {
			return nil, exitcode.New(exitcode.DataCorrupt, "%s of %s has no bins", key.Name(), path)
		}
		h := hist.New1D(key.Name(), th1.Title(), "", n, b.XMin(), b.XMax())
		for i := range b.Binning.Bins {
			h.Counts[i] = b.Binning.Bins[i].SumW()
		}
		h.Underflow, h.Overflow = b.Binning.Outflows[0].SumW(), b.Binning.Outflows[1].SumW()
		h.SumW, h.SumWX, h.SumWX2 = b.Binning.Dist.SumW(), b.Binning.Dist.SumWX(), b.Binning.Dist.SumWX2()
		h.Entries = float64(b.Entries())
		if err := h.Validate(); err != nil {
			return nil, exitcode.New(exitcode.DataCorrupt, "%s of %s: %w", key.Name(), path, err)
		}
		list = append(list, h)
	}
	if len(list) == 0 {
		return nil, f.Other("there is no histogram in it")
	}
	return list, nil
}
