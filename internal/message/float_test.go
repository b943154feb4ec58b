package message_test

import (
	"encoding/json"
	"testing"

	"tfpilot/internal/message"
)

func TestANumberMayStandInQuotes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`4000.5`: `4000.5`, `"4000"`: `4000`, `0`: `0`, `null`: `null`, `-1.5e-3`: `-0.0015`, `"2e9"`: `2000000000`, `"many"`: ``, `"NaN"`: ``, `1e400`: ``, `[1]`: ``, `true`: ``,
	} {
		var f message.Float
		err := json.Unmarshal([]byte(in), &f)
		if want == "" {
			if err == nil {
				t.Errorf("%s is %g", in, f.Float64())
			}
			continue
		}
		if got, failed := json.Marshal(f); err != nil || failed != nil || string(got) != want || f.IsZero() != (want == "null") {
			t.Errorf("%s is %s, %v", in, got, err)
		}
	}
}
