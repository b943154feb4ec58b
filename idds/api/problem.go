package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// A problem names as many mistakes of a request, and shows values and names up to so many bytes.
const (
	mostMistakes = 20
	mostShown    = 200
)

// brief bounds what a problem repeats of the request. The library shows the whole value with each mistake: a report of 4 MB, in which
// thirteen keys are missing, was answered with 52 MB.
func brief(_ huma.Context, _ string, answer any) (any, error) {
	p, ok := answer.(*huma.ErrorModel)
	if !ok {
		return answer, nil
	}
	p.Errors = p.Errors[:min(len(p.Errors), mostMistakes)]
	for _, e := range p.Errors {
		e.Message, e.Location = shown(e.Message), shown(e.Location)
		switch v := e.Value.(type) {
		case string:
			e.Value = shown(v)
		case []byte:
			e.Value = shown(string(v))
		case bool, float64, int64, int, nil:
		default: // the location says where it is
			e.Value = nil
		}
	}
	return p, nil
}

// shown is a text up to the bound, without half a character.
func shown(s string) string {
	if len(s) <= mostShown {
		return s
	}
	return strings.ToValidUTF8(s[:mostShown], "") + "..."
}
