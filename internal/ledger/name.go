package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is how long a name may be in a store: PostgreSQL has an index row of four of them within the third of a page that it allows.
const maxText = 600

// Text is how a store writes a name that is anybody's: PostgreSQL takes neither a zero byte nor what is no UTF-8, nor one of any length
// into an index. Each byte that is none becomes U+FFFD, as JSON writes it; of a name that is too long the end becomes its checksum.
func Text(s string) string {
	if isName(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r == 0 {
			return '\u2400' // the picture of one
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	end := "\u2026" + hex.EncodeToString(sum[:16])
	at := maxText - len(end)
	for !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + end
}

// isName says that a text is written as it is, as nearly every name: short, and of plain letters.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return len(s) <= maxText
}

// Text is a key as a store writes it.
func (k Key) Text() Key { return Key{Text(k.Namespace), Text(k.Run), Text(k.Identity)} }

// Micros is a time as stores have it.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
