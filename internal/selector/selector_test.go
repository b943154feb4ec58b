package selector_test

import (
	"strings"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/selector"
)

func matches(text string, h *frame.Header) (bool, error) {
	s, err := selector.Parse(text, false)
	return err == nil && s.Matches(h), err
}

func TestSelectorsMeanWhatTheyMeanInArtemis(t *testing.T) {
	t.Parallel()
	h := frame.NewHeader("namespace", "demo", "run_id", "102023", "quote", "it's", "and", "x")
	for text, want := range map[string]bool{
		"":                                      true,
		"namespace='demo'":                      true,
		"namespace = 'other'":                   false,
		"namespace <> 'other'":                  true,
		"run_id='102023'":                       true,
		"run_id=102023":                         false, // every header is a string
		"run_id<>102023":                        true,  // nor unequal to a number
		"absent='x'":                            false,
		"absent<>'x'":                           false, // unknown is not true
		"NOT absent='x'":                        false,
		"NOT namespace='other'":                 false, // it binds to the name
		"NOT (namespace='other')":               true,
		"absent='x' OR namespace='demo'":        true,
		"absent='x' AND namespace='demo'":       false,
		"namespace='a' OR run_id='b' AND x='c'": false,
		"(namespace='demo' OR x='y') AND absent='z'":           false,
		"namespace='demo' AND (run_id='1' OR run_id='102023')": true,
		"quote='it''s'": true,
		"not (namespace='other') and run_id='102023'": true,
		"namespace IN ('a','demo')":                   true,
		"absent IS NULL":                              true,
		"namespace LIKE 'd_m%'":                       true,
		"namespace LIKE 'd!_mo' ESCAPE '!'":           false,
		"2 BETWEEN 1 AND 3":                           true,
		"-2 < -1":                                     true,
		"my-key='a'":                                  false,
		"'demo'=namespace":                            true,
	} {
		got, err := matches(text, h)
		if got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"namespace=", "='x'", "namespace='open", "(a='b'", "a='b')", "a='b' AND", "a 'b'", "a==b", "NOT", "a='b' c='d'", "a>'b'", "a BETWEEN 'x' AND 'y'", "a IN ()", "a IN (1)", "a LIKE", "a LIKE 'x' ESCAPE 'ab'", "a IS", "NOT a IN ('b')", "a <> -", "1..2=1"} {
		if _, err := matches(text, h); err == nil {
			t.Errorf("%s is no selector", text)
		}
	}
}

func FuzzSelector(f *testing.F) {
	f.Add("namespace='x' AND (run_id='1' OR NOT a<>b)")
	f.Add(strings.Repeat("(", 1000))
	h := frame.NewHeader("a", "b", "namespace", "x")
	f.Fuzz(func(t *testing.T, text string) {
		one, err := matches(text, h)
		if err != nil || strings.TrimSpace(text) == "" {
			return
		}
		// What it says once in parentheses, and twice denied, is the same, but for the unknown.
		two, err := matches("NOT (NOT ("+text+"))", h)
		if err != nil || one != two {
			t.Errorf("%q: %v, doubly denied %v, %v", text, one, two, err)
		}
	})
}
