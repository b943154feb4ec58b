package sums

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

const (
	// binWidth is from bin to bin: the middle of one is off by at most half of that.
	binWidth = 1.05
	// shortestTime and longestTime bound the bins; they are seconds.
	shortestTime, longestTime = 1e-5, 1e7
	// maxPayloads is how many versions a run tells apart; what comes after is added up under othersName.
	maxPayloads = 50
	othersName  = "(others)"
)

// Payloads are what the versions of payloads took that have worked on a run.
type Payloads []Payload

// Payload is what one version took, in sums that do not grow with its slices.
type Payload struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Done    int    `json:"done,omitempty"`
	Failed  int    `json:"failed,omitempty"`
	// Seconds counts slices by the time that they took: bin n is of those around binWidth to the nth second.
	Seconds map[int]int `json:"seconds,omitempty"`
	Longest float64     `json:"longest,omitempty"`

	Measured     int     `json:"measured,omitempty"`
	CPUSeconds   float64 `json:"cpu_seconds,omitempty"`
	CoreSeconds  float64 `json:"core_seconds,omitempty"`
	PeakBytes    int64   `json:"peak_bytes,omitempty"`
	ReadBytes    int64   `json:"read_bytes,omitempty"`
	WrittenBytes int64   `json:"written_bytes,omitempty"`
}

// AddDone adds what the winning result of a slice took.
func (p *Payloads) AddDone(c message.ResultContent) {
	sum := p.of(c.Payload)
	sum.Done++
	seconds := c.ProcessedAt.Time().Sub(c.ProcessingStartAt.Time()).Seconds()
	if c.ProcessingTime != nil {
		seconds = *c.ProcessingTime
	}
	if seconds >= 0 { // which a peer's clock may not give, nor NaN
		seconds = min(max(seconds, shortestTime), longestTime)
		if sum.Seconds == nil {
			sum.Seconds = map[int]int{}
		}
		sum.Seconds[int(math.Round(math.Log(seconds)/math.Log(binWidth)))]++
		sum.Longest = max(sum.Longest, seconds)
	}
	u := c.Usage
	if u == nil || !believable(*u) {
		return
	}
	sum.Measured++
	sum.CPUSeconds += u.UserSeconds + u.SystemSeconds
	sum.CoreSeconds += u.WallSeconds * float64(max(1, u.Cores))
	sum.PeakBytes = max(sum.PeakBytes, u.PeakBytes)
	sum.ReadBytes, sum.WrittenBytes = sum.ReadBytes+u.ReadBytes, sum.WrittenBytes+u.WrittenBytes
}

// AddFailed counts an attempt that a version made nothing of.
func (p *Payloads) AddFailed(id *message.PayloadIdentity) { p.of(id).Failed++ }

// Documents are what they took as the world sees it, by name and version.
func (p Payloads) Documents() []document.Payload {
	out := make([]document.Payload, len(p))
	for i := range p {
		out[i] = p[i].document()
	}
	slices.SortFunc(out, func(a, b document.Payload) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return out
}

// of are the sums of a version, which a peer may not name.
func (p *Payloads) of(id *message.PayloadIdentity) *Payload {
	if id == nil {
		id = &message.PayloadIdentity{}
	}
	find := func(name, version string) int {
		return slices.IndexFunc(*p, func(one Payload) bool { return one.Name == name && one.Version == version })
	}
	name, version := id.Name, id.Version
	i := find(name, version)
	if i < 0 && (len(*p) >= maxPayloads || len(name) > maxKey || len(version) > maxKey) {
		name, version = othersName, ""
		i = find(name, version)
	}
	if i < 0 {
		i = len(*p)
		*p = append(*p, Payload{Name: name, Version: version})
	}
	return &(*p)[i]
}

// believable keeps one broken worker from spoiling the sums of all.
func believable(u message.Usage) bool {
	const mostSeconds, mostBytes = 1e8, 1 << 50
	for _, x := range []float64{u.WallSeconds, u.UserSeconds, u.SystemSeconds} {
		if !(x >= 0 && x <= mostSeconds) { // nor NaN
			return false
		}
	}
	for _, n := range []int64{u.PeakBytes, u.ReadBytes, u.WrittenBytes} {
		if n < 0 || n > mostBytes {
			return false
		}
	}
	return true
}

func (p Payload) document() document.Payload {
	d := document.Payload{
		Name: p.Name, Version: p.Version, Done: p.Done, Failed: p.Failed, Seconds: p.quantiles(), Measured: p.Measured,
		CPUSeconds: p.CPUSeconds, PeakBytes: p.PeakBytes, ReadBytes: p.ReadBytes, WrittenBytes: p.WrittenBytes,
	}
	if p.CoreSeconds > 0 {
		share := p.CPUSeconds / p.CoreSeconds
		d.CPUEfficiency = &share
	}
	return d
}

func (p Payload) quantiles() document.Quantiles {
	q := document.Quantiles{Max: p.Longest}
	for _, n := range p.Seconds {
		q.N += n
	}
	seen := 0
	for _, bin := range slices.Sorted(maps.Keys(p.Seconds)) {
		value := min(math.Pow(binWidth, float64(bin)), p.Longest)
		for _, of := range []struct {
			at   float64
			into *float64
		}{{0.5, &q.P50}, {0.95, &q.P95}} {
			if rank := min(q.N-1, int(of.at*float64(q.N))); seen <= rank && rank < seen+p.Seconds[bin] {
				*of.into = value
			}
		}
		seen += p.Seconds[bin]
	}
	return q
}
