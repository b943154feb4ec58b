package stompframe

import (
	"bufio"
	"io"

	"github.com/go-stomp/stomp/v3/frame"
)

// Writer gathers frames in a buffer; Flush sends them. One goroutine uses it.
type Writer struct {
	buf    *bufio.Writer
	frames *frame.Writer
}

// NewWriter makes a Writer on a connection.
func NewWriter(w io.Writer) *Writer {
	buf := bufio.NewWriterSize(w, 64<<10)
	// The frame writer flushes each frame into buf, not onto the wire.
	return &Writer{buf, frame.NewWriterSize(buf, 16)}
}

// Write adds a frame; nil is a heart-beat.
func (w *Writer) Write(f *frame.Frame) error {
	if f == nil || (f.Command != frame.CONNECT && f.Command != frame.CONNECTED) {
		return w.frames.Write(f)
	}
	// CONNECT and CONNECTED know no escapes (STOMP 1.2, "Value Encoding"): a passcode goes out as it is.
	_, _ = w.buf.WriteString(f.Command + "\n")
	for i := range f.Header.Len() {
		key, value := f.Header.GetAt(i)
		_, _ = w.buf.WriteString(key + ":" + value + "\n")
	}
	_, err := w.buf.WriteString("\n\x00") // bufio keeps the first error
	return err
}

// Flush sends what was gathered.
func (w *Writer) Flush() error { return w.buf.Flush() }
