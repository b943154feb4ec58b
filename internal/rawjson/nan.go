package rawjson

import "bytes"

// QuoteNaN puts what Python takes for a number of JSON, NaN, Infinity and -Infinity, in quotes: what is a text then is nothing that a field
// for a number takes, and the rest of its document is what it was. It is nil when there are none.
func QuoteNaN(body []byte) []byte {
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
