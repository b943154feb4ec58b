package stompframe_test

import (
	"bytes"
	"strings"
	"testing"

	"tfpilot/internal/stompframe"
)

// FuzzReader looks for input that makes the reader panic, go on for ever, or hand out more than its limits.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\n\nSEND\ndestination:/queue/a\ncontent-length:3\n\nab\x00\x00\n"))
	f.Add([]byte("MESSAGE\nk:\\c\\n\\\\\n\nbody\x00"))
	f.Add([]byte("SEND\ncontent-length:99999999999\n\n"))
	f.Add([]byte("SEND\n" + strings.Repeat("a:b\n", 100) + "\n\x00"))
	limits := stompframe.Limits{HeaderBytes: 256, BodyBytes: 512}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := stompframe.NewReader(bytes.NewReader(b), limits)
		for range len(b) + 2 {
			frame, err := r.Read()
			if err != nil {
				return
			}
			if frame == nil {
				continue
			}
			if len(frame.Body) > limits.BodyBytes+1 {
				t.Fatalf("a body of %d bytes", len(frame.Body))
			}
		}
		t.Fatal("more frames than bytes")
	})
}
