package stompframe_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// FuzzReader looks for input that makes the reader panic, go on for ever, hand out more than its limits, or hand out a frame
// that is another one when it is written and read again.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\n\nSEND\ndestination:/queue/a\ncontent-length:3\n\nab\x00\x00\n"))
	f.Add([]byte("MESSAGE\nk:\\c\\n\\\\\n\nbody\x00"))
	f.Add([]byte("CONNECT\nlogin:a\\b\npasscode:c:d\n\n\x00"))
	f.Add([]byte("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\x00\nRECEIPT\r\nreceipt-id:1\r\n\r\n\x00"))
	f.Add([]byte("SEND\ncontent-length:99999999999\n\n"))
	f.Add([]byte("SEND\n" + strings.Repeat("a:b\n", 100) + "\n\x00"))
	limits := stompframe.Limits{HeaderBytes: 256, BodyBytes: 512}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := stompframe.NewReader(bytes.NewReader(b), limits)
		for range len(b) + 2 {
			read, err := r.Read()
			if err != nil {
				return
			}
			if read == nil {
				continue
			}
			if len(read.Body) > limits.BodyBytes+1 {
				t.Fatalf("a body of %d bytes", len(read.Body))
			}
			sameAgain(t, read)
		}
		t.Fatal("more frames than bytes")
	})
}

// sameAgain writes and reads a frame. CONNECT and CONNECTED know no escapes, and what is read of them may hold what only an
// escape can say: they are left out.
func sameAgain(t *testing.T, f *frame.Frame) {
	t.Helper()
	if slices.Contains([]string{frame.CONNECT, frame.CONNECTED, frame.STOMP}, f.Command) {
		return
	}
	var wire bytes.Buffer
	w := stompframe.NewWriter(&wire)
	if err := w.Write(f); err != nil {
		t.Fatalf("%v is not written: %v", f, err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	again, err := stompframe.NewReader(&wire, stompframe.Limits{}).Read()
	if err != nil || again == nil || again.Command != f.Command || !bytes.Equal(again.Body, f.Body) || again.Header.Len() != f.Header.Len() {
		t.Fatalf("%v became %v, %v", f, again, err)
	}
	for i := range f.Header.Len() {
		k1, v1 := f.Header.GetAt(i)
		k2, v2 := again.Header.GetAt(i)
		if k1 != k2 || v1 != v2 {
			t.Fatalf("%q:%q became %q:%q", k1, v1, k2, v2)
		}
	}
}
