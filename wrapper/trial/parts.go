package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"

	"tfpilot/payload"
)

// Difference is a part of the result that is not the same in all slices.
type Difference struct {
	// Part is a count, a histogram, an output or the warnings.
	Part string `json:"part"`
	// Values are those that it had, the most frequent first.
	Values []Value `json:"values"`
}

// Value is what a part was in some of the slices; "absent" where it was not there.
type Value struct {
	Text   string `json:"text"`
	Slices int    `json:"slices"`
}

// parts counts for every part of the results how often it had which value.
type parts struct {
	results int
	seen    map[string]map[string]int
}

// mostValues bounds what is kept of a part that is another one every time.
const mostValues = 1000

func (p *parts) add(r payload.Result) {
	if p.seen == nil {
		p.seen = map[string]map[string]int{}
	}
	p.results++
	note := func(part, value string) {
		values := p.seen[part]
		if values == nil {
			values = map[string]int{}
			p.seen[part] = values
		}
		if _, known := values[value]; !known && len(values) >= mostValues {
			value = "others"
		}
		values[value]++
	}
	for name, n := range r.Counts {
		note("count "+name, strconv.FormatInt(n, 10))
	}
	for i := range r.Histograms {
		h := &r.Histograms[i]
		note("histogram "+h.Name, fmt.Sprintf("%.0f entries, %s", h.Entries, digest(h)))
	}
	for _, o := range r.Outputs {
		note("output "+o.Name, fmt.Sprintf("%d bytes, adler32 %s", o.SizeBytes, o.Adler32))
	}
	if len(r.Warnings) > 0 {
		note("warnings", fmt.Sprintf("%d, %s", len(r.Warnings), digest(r.Warnings)))
	}
}

// digest tells values apart that are too long to be shown.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b))
}

// differences are the parts with more than one value, in the order of their names.
func (p *parts) differences() []Difference {
	out := []Difference{}
	for _, part := range slices.Sorted(maps.Keys(p.seen)) {
		var values []Value
		there := 0
		for text, n := range p.seen[part] {
			values = append(values, Value{text, n})
			there += n
		}
		if there < p.results {
			values = append(values, Value{"absent", p.results - there})
		}
		if len(values) < 2 {
			continue
		}
		slices.SortFunc(values, func(a, b Value) int { return cmp.Or(cmp.Compare(b.Slices, a.Slices), cmp.Compare(a.Text, b.Text)) })
		out = append(out, Difference{part, values})
	}
	return out
}
