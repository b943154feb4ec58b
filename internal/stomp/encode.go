package stomp

import (
	"fmt"
	"strings"

	"tfpilot/internal/stompframe"
)

// version is the protocol version of a session.
type version string

const (
	v11 version = "1.1"
	v12 version = "1.2"
)

// header adds a line, escaped as the version wants it.
func (v version) header(b []byte, key, value string) []byte {
	b = v.escape(b, key)
	b = append(b, ':')
	b = v.escape(b, value)
	return append(b, '\n')
}

func (v version) escape(b []byte, s string) []byte {
	if v != v11 {
		return stompframe.Escape(b, s)
	}
	for { // a carriage return has an escape in 1.2 only
		part, rest, more := strings.Cut(s, "\r")
		if b = stompframe.Escape(b, part); !more {
			return b
		}
		b, s = append(b, '\r'), rest
	}
}

// headers adds the pairs that a caller gave, which must not be those that the session itself writes.
func (v version) headers(b []byte, pairs []string) ([]byte, error) {
	if len(pairs)%2 != 0 {
		return b, fmt.Errorf("header %q has no value", pairs[len(pairs)-1])
	}
	for i := 0; i < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		switch key {
		case "", "ack", "content-length", "destination", "id", "receipt", "transaction":
			return b, fmt.Errorf("header %q is not for callers to set", key)
		}
		if strings.IndexByte(key, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
			return b, fmt.Errorf("header %q has a NUL, which ends a frame", key)
		}
		b = v.header(b, key, value)
	}
	return b, nil
}

// connectFrame is CONNECT, in which nothing is escaped: the specification wants it so, for the sake of 1.0 brokers. A line
// break in a value would therefore become a header of its own.
func connectFrame(pairs ...string) ([]byte, error) {
	b := []byte("CONNECT\n")
	for i := 0; i < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		if value == "" {
			continue
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("%s has a line break or NUL in it", key)
		}
		b = append(b, key...)
		b = append(b, ':')
		b = append(b, value...)
		b = append(b, '\n')
	}
	return append(b, '\n', 0), nil
}
