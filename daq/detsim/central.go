package detsim

import (
	"math"

	"tfpilot/internal/stf"
)

// integrationNS is how long a pixel collects charge (MOSAIX sensors of ePIC's vertex tracker: 2 us, ePIC SVT documents).
const integrationNS = 2000

// Central is the detector: ePIC's silicon barrel (radii 36, 48, 120, 270, 420 mm; 20.8 um pixels, about 5 um resolution) and its
// AC-LGAD barrel (radius about 640 mm; 30 um by charge sharing, strips of 10 mm along z, 30 ps), in 1.7 T.
func Central(frameNS float64) stf.Geometry {
	g := stf.Geometry{
		Name:       "central",
		Source:     "radii, field and resolutions after ePIC's silicon vertex tracker barrel and AC-LGAD barrel; lengths cover |eta| < 1.2",
		FieldTesla: 1.7,
		FrameNS:    frameNS,
	}
	length := func(radius float64) float64 { return math.Ceil(radius*math.Sinh(1.2) + 100) }
	for _, r := range []float64{36, 48, 120, 270, 420} {
		g.Layers = append(g.Layers, stf.Layer{
			Kind: stf.KindPixel, RadiusMM: r, HalfLengthMM: length(r), SigmaRPhiMM: 0.005, SigmaZMM: 0.005,
			SigmaTimeNS: integrationNS / math.Sqrt(12), Efficiency: 0.99,
		})
	}
	g.Layers = append(g.Layers, stf.Layer{
		Kind: stf.KindTiming, RadiusMM: 640, HalfLengthMM: length(640), SigmaRPhiMM: 0.030, SigmaZMM: 10 / math.Sqrt(12),
		SigmaTimeNS: 0.030, Efficiency: 0.98,
	})
	return g
}
