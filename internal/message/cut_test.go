package message_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tfpilot/internal/message"
)

func TestATextIsCutBetweenItsLetters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "abcde": "abcde", "abcdef": "abcd…", "abcdé": "abcd…", "abcé": "abcé", "ab€€": "ab…", "a\xffb": "a\uFFFDb", "abcd\U0001F600": "abcd…",
		strings.Repeat("\x80", 9): "…",
	} {
		if got := message.Cut(text, 5); got != want || !utf8.ValidString(got) || utf8.RuneCountInString(got) > 5 {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
