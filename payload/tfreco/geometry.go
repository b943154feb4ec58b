package tfreco

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"tfpilot/internal/stf"
)

// setGeometry sorts the layers, refuses a detector in which no track could be found, and lays out the searches.
func (r *Reconstructor) setGeometry(g stf.Geometry) error {
	if len(g.Layers) >= maxLayers {
		return fmt.Errorf("%d layers, at most %d can be worked with", len(g.Layers), maxLayers-1)
	}
	if !finite(g.FieldTesla) || g.FieldTesla == 0 {
		return errors.New("no magnetic field: tracks have no momentum")
	}
	numbers := make([]int, len(g.Layers))
	for i := range numbers {
		numbers[i] = i
	}
	isTiming := func(i int) int {
		if g.Layers[i].Kind == stf.KindTiming {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(numbers, func(a, b int) int {
		return cmp.Or(isTiming(a)-isTiming(b), cmp.Compare(g.Layers[a].RadiusMM, g.Layers[b].RadiusMM))
	})
	r.field = g.FieldTesla
	r.place = make([]int, len(g.Layers))
	for place, number := range numbers {
		l := g.Layers[number]
		if l.Kind != stf.KindPixel && l.Kind != stf.KindTiming {
			return fmt.Errorf("layer %d is of the unknown kind %.40q", number, l.Kind)
		}
		for _, v := range []float64{l.RadiusMM, l.HalfLengthMM, l.SigmaRPhiMM, l.SigmaZMM, l.SigmaTimeNS} {
			if !finite(v) || v <= 0 {
				return fmt.Errorf("layer %d: sizes and resolutions must be positive", number)
			}
		}
		r.place[number] = place
		r.layers = append(r.layers, layerHits{layer: layer{
			radius: l.RadiusMM, halfLength: l.HalfLengthMM,
			sigmaRPhi: l.SigmaRPhiMM, sigmaZ: l.SigmaZMM, sigmaTime: l.SigmaTimeNS,
		}})
		if isTiming(number) == 1 {
			r.timing = place // of several, the outermost
		} else {
			r.pixels++
			r.halfWindow = max(r.halfWindow, r.cfg.Sigmas*1.5*l.SigmaTimeNS+flightSlack)
		}
	}
	if r.pixels < 4 {
		return fmt.Errorf("%d pixel layers, a track needs 4", r.pixels)
	}
	r.maxKappa = kappaToPT * max(r.field, -r.field) / r.cfg.MinPT
	r.setSeeds()
	return nil
}

// setSeeds starts searches on the three outermost pixel layers, where the hits are sparsest, and then, for the tracks that lack a hit
// there, on the three outermost but one.
func (r *Reconstructor) setSeeds() {
	top := r.pixels - 1
	r.seeds = [][3]int{{top, top - 1, top - 2}, {top, top - 1, top - 3}, {top, top - 2, top - 3}, {top - 1, top - 2, top - 3}}
}
