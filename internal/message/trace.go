package message

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Trace is where a slice stands in a trace of OpenTelemetry, as W3C's Trace Context has it.
type Trace struct {
	// ID is of the whole trace, Span of what the slice is a part of.
	ID   [16]byte
	Span [8]byte
	// Sampled says that somebody records it.
	Sampled bool
}

// IsZero reports whether there is no trace.
func (t Trace) IsZero() bool { return t.ID == [16]byte{} || t.Span == [8]byte{} }

// String is the traceparent.
func (t Trace) String() string {
	flags := 0
	if t.Sampled {
		flags = 1
	}
	return fmt.Sprintf("00-%x-%x-%02x", t.ID, t.Span, flags)
}

// SliceTrace is the trace of a slice whose producer has none. All who know the slice come to the same, after a restart too.
func SliceTrace(namespace, run, identity string) Trace {
	sum := sha256.Sum256([]byte("slice\x00" + namespace + "\x00" + run + "\x00" + identity))
	t := Trace{Sampled: true}
	copy(t.ID[:], sum[:16])
	copy(t.Span[:], sum[16:24])
	return t
}

// ParseTrace reads a traceparent; none comes of what is not well formed. Of a later version what this one knows is read.
func ParseTrace(text string) (t Trace) {
	const length = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	if len(text) < length || text != strings.ToLower(text) || text[:2] == "ff" || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
		len(text) > length && (text[:2] == "00" || text[length] != '-') {
		return Trace{}
	}
	var version, flags [1]byte
	for from, into := range map[int][]byte{0: version[:], 3: t.ID[:], 36: t.Span[:], 53: flags[:]} {
		if _, err := hex.Decode(into, []byte(text[from:from+2*len(into)])); err != nil {
			return Trace{}
		}
	}
	if t.IsZero() {
		return Trace{}
	}
	t.Sampled = flags[0]&1 == 1
	return t
}

// Trace is that of the slice, none when its producer gave none that can be read.
func (c SliceContent) Trace() Trace {
	var text string
	if json.Unmarshal(c.Traceparent, &text) != nil {
		return Trace{}
	}
	return ParseTrace(text)
}

// SetTrace says which it is.
func (c *SliceContent) SetTrace(t Trace) { c.Traceparent = json.RawMessage(`"` + t.String() + `"`) }
