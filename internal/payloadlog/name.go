package payloadlog

import (
	"strings"

	"tfpilot/internal/message"
)

const (
	// maxIdentity bounds what a slice's identity takes of a file name.
	maxIdentity = 100
	// compressed ends the name of a log that is complete.
	compressed = ".zst"
)

// nameParts are run and identity of a slice as they stand in the names of its logs.
func nameParts(s message.Slice) (run, identity string) {
	identity = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_", r) {
			return r
		}
		return '_'
	}, s.Content.Identity())
	run = strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || r < ' ' {
			return '_'
		}
		return r
	}, s.Run().String())
	return run[:min(len(run), maxIdentity)], identity[:min(len(identity), maxIdentity)]
}

// isOurs says that a file is a log, also one of which only a part was compressed when its pilot was killed.
func isOurs(name string) bool {
	_, end, found := strings.Cut(strings.TrimSuffix(name, compressed), ".slot")
	return found && (strings.Contains(end, ".out") || strings.Contains(end, ".err"))
}
