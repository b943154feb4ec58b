package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"tfpilot/internal/message"
)

// mostHeader is how long the value of a header may be: a broker ends the connection of who sends more than it takes in all of them.
const mostHeader = 4 << 10

// carried is a text as a header can have it. What is anybody's, a run's number say, may have a NUL, which ends a frame, or be of any
// length: a message that tells of it would be refused for ever, and those behind it would wait. Of one that is too long the end becomes
// its checksum, so that two remain two.
func carried(value string) string {
	if len(value) <= mostHeader && strings.IndexByte(value, 0) < 0 {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	value = strings.ReplaceAll(value, "\x00", "\u2400") // the picture of one
	if len(value) <= mostHeader {
		return value
	}
	end := "\u2026" + hex.EncodeToString(sum[:16])
	at := mostHeader - len(end)
	for at > 0 && !utf8.RuneStart(value[at]) {
		at--
	}
	return value[:at] + end
}

// headersOf are those of a message as a frame can have them.
func headersOf(m Out) []string {
	out := make([]string, 0, len(m.Headers)+2)
	for i, text := range m.Headers {
		if i%2 == 1 {
			text = carried(text)
		}
		out = append(out, text)
	}
	if m.DuplicateID != "" {
		out = append(out, message.HeaderDuplicateID, carried(m.DuplicateID))
	}
	return out
}
