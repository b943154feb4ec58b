package message

import (
	"bytes"

	"tfpilot/internal/quickjson"
)

// unmarshal reads JSON, and what Python takes for it: NaN, Infinity and -Infinity. They become texts, which is nothing that a field for
// a number takes: a histogram with one is none, and the rest of its message is what it was.
func unmarshal[T any](body []byte) (T, error) {
	m, err := quickjson.Decode[T](body)
	if err == nil {
		return m, nil
	}
	if quoted := quoteNoNumbers(body); quoted != nil {
		return quickjson.Decode[T](quoted)
	}
	return m, err
}

// quoteNoNumbers puts them in quotes; nil when there are none.
func quoteNoNumbers(body []byte) []byte {
	var out []byte
	done, text := 0, false
	for i := 0; i < len(body); i++ {
		switch {
		case text && body[i] == '\\':
			i++
		case body[i] == '"':
			text = !text
		case !text:
			if n := noNumber(body[i:]); n > 0 {
				out = append(append(append(append(out, body[done:i]...), '"'), body[i:i+n]...), '"')
				i, done = i+n-1, i+n
			}
		}
	}
	if done == 0 {
		return nil
	}
	return append(out, body[done:]...)
}

// noNumber is the length of one at the begin of a text.
func noNumber(b []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(b, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
