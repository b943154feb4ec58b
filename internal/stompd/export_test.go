package stompd

import "github.com/go-stomp/stomp/v3/frame"

// Matches parses a selector and asks it; for tests.
func Matches(text string, h *frame.Header) (bool, error) {
	s, err := parseSelector(text, false)
	if err != nil {
		return false, err
	}
	return s.matches(h), nil
}
