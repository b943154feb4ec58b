package message

import (
	"bytes"
	"encoding/json"
)

// unmarshal reads JSON, and what Python takes for it: NaN, Infinity and -Infinity. They become texts, which is nothing that a field for
// a number takes: a histogram with one is none, and the rest of its message is what it was.
func unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if quoted := quoteNoNumbers(body); quoted != nil {
		return json.Unmarshal(quoted, into)
	}
	return err
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
