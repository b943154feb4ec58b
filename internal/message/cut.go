package message

import (
	"strings"
	"unicode/utf8"
)

// Cut bounds a text of others to so many letters, the last an ellipsis, when it has more bytes than that. What is no UTF-8 becomes
// U+FFFD; no letter is cut in two.
func Cut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	end := most - 1
	for end > 0 && end > most-1-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.ToValidUTF8(text[:end], "\uFFFD") + "…"
}
