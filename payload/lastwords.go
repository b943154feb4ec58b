package payload

import (
	"strings"
	"unicode"
)

// LastWords is what a program said of its end, ready to be put behind a sentence: its last line, or the first of a Go panic, which is
// followed by many.
func LastWords(text string) string {
	const most = 300
	text = strings.TrimSpace(text)
	line := text[strings.LastIndexByte(text, '\n')+1:]
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") || strings.HasPrefix(l, "SIG") {
			line = l
			break
		}
	}
	if line = clean(line, most); line == "" {
		return ""
	}
	return ": " + line
}

// clean makes a program's words one line of at most so many bytes, which steers no terminal.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(text, "?")))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
