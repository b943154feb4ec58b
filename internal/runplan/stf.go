package runplan

import (
	"math/rand/v2"
	"time"

	"tfpilot/internal/message"
)

// STF is a Super Time Frame that has been taken: all that its messages say follows from this and the plan.
type STF struct {
	Sequence int    `json:"sequence"`
	Name     string `json:"name"`
	// SizeBytes and Adler32 are of the file; zero when the plan writes none.
	SizeBytes int64  `json:"size_bytes"`
	Adler32   string `json:"adler32"`
	// CreatedAt is when the file was complete and due.
	CreatedAt time.Time `json:"created_at"`
}

// Slice is one range of an STF for the workers.
type Slice struct {
	ReqID string
	// Name is made from that of what the range was cut from: the STF or a sample.
	Name      string
	ID        int
	Range     Range
	CreatedAt time.Time
}

// TFSample is a sample of an STF as FastMon registers it.
type TFSample struct {
	ID    string
	Name  string
	Range Range
}

// The numbers that separate the uses of the seed within an STF.
const (
	drawSamples uint64 = iota + 1
	drawSliced
)

// draw is the random source for one use in one STF, independent of what was drawn before: a restart draws the same.
func (p Plan) draw(sequence int, use uint64) *rand.Rand {
	return rand.New(rand.NewPCG(p.Seed, uint64(sequence)<<8|use))
}

// Samples are the time-frame samples of an STF.
func (p Plan) Samples(s STF) []TFSample {
	ranges := Sample(p.Frames, p.TFFilesPerSTF, p.TFSampleFraction, p.TFSampleSpread, p.draw(s.Sequence, drawSamples))
	out := make([]TFSample, len(ranges))
	for i, r := range ranges {
		name := sampleName(s.Name, i+1)
		out[i] = TFSample{ID: identity("tf", p.Namespace, p.Run, name), Name: name, Range: r}
	}
	return out
}

// Sliced reports whether the STF is among those that are sliced.
func (p Plan) Sliced(sequence int) bool {
	return p.STFSamplingRate >= 1 || p.draw(sequence, drawSliced).Float64() < p.STFSamplingRate
}

// Slices are the slices of an STF. Each has an instant of its own, because a peer's failure names its slice by that alone.
func (p Plan) Slices(s STF) []Slice {
	if !p.Sliced(s.Sequence) {
		return nil
	}
	var out []Slice
	add := func(parent string, ranges []Range) {
		for i, r := range ranges {
			name := message.SliceFileName(parent, i)
			out = append(out, Slice{
				ReqID: ReqID(p.Namespace, p.Run, name, i), Name: name, ID: i, Range: r,
				CreatedAt: s.CreatedAt.Add(time.Duration(len(out)+1) * time.Microsecond),
			})
		}
	}
	if Mode(p.Mode) == ModeSTF {
		add(s.Name, Split(All(p.Frames), p.SlicesPerSample))
		return out
	}
	for _, sample := range p.Samples(s) {
		add(sample.Name, Chunk(sample.Range, p.NumTFPerSlice))
	}
	return out
}
