package top

import (
	"cmp"
	"strings"
	"unicode"
)

// plainly are the characters that we write ourselves, for terminals that have ASCII alone: a block becomes its height.
var plainly = map[rune]rune{
	'▁': '1', '▂': '2', '▃': '3', '▄': '4', '▅': '5', '▆': '6', '▇': '7', '█': '8', '↑': '^', '↓': 'v', '…': '~', '·': '.', '−': '-', '–': '-', '\u202f': ' ',
}

// plain is a text in ASCII, with as many characters.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII {
			return r
		}
		return cmp.Or(plainly[r], '?')
	}, text)
}

// cut leaves as much of a line as there are columns.
func cut(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:max(0, width-1)]) + "…"
}

// clean is a text of others on one line, without what a terminal would obey or turn round.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}
