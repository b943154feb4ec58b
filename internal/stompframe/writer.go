package stompframe

import (
	"io"

	"github.com/go-stomp/stomp/v3/frame"
)

// gathered is how many bytes of frames go out at once.
const gathered = 64 << 10

// Writer gathers frames in a buffer; Flush sends them. One goroutine uses it. Its first error stays.
type Writer struct {
	next io.Writer
	buf  []byte
	err  error
}

// NewWriter makes a Writer on a connection.
func NewWriter(w io.Writer) *Writer { return &Writer{next: w} }

// Write adds a frame; nil is a heart-beat.
func (w *Writer) Write(f *frame.Frame) error {
	if f == nil {
		w.buf = append(w.buf, '\n')
		return w.err
	}
	w.buf = append(append(w.buf, f.Command...), '\n')
	// CONNECT and CONNECTED know no escapes (STOMP 1.2, "Value Encoding"): a passcode goes out as it is.
	plain := f.Command == frame.CONNECT || f.Command == frame.CONNECTED
	for i := range f.Header.Len() {
		key, value := f.Header.GetAt(i)
		if plain {
			w.buf = append(append(append(append(w.buf, key...), ':'), value...), '\n')
		} else {
			w.buf = append(Escape(append(Escape(w.buf, key), ':'), value), '\n')
		}
	}
	w.buf = append(w.buf, '\n')
	if len(f.Body) > gathered { // not worth a copy
		if w.Flush() == nil {
			_, w.err = w.next.Write(f.Body)
		}
	} else {
		w.buf = append(w.buf, f.Body...)
	}
	if w.buf = append(w.buf, 0); len(w.buf) >= gathered {
		return w.Flush()
	}
	return w.err
}

// Flush sends what was gathered.
func (w *Writer) Flush() error {
	if len(w.buf) > 0 && w.err == nil {
		_, w.err = w.next.Write(w.buf)
	}
	if w.buf = w.buf[:0]; cap(w.buf) > 4*gathered {
		w.buf = nil
	}
	return w.err
}

// codes are the letters that stand for bytes which would end a key, a value or a line.
var codes = [256]byte{'\\': '\\', '\n': 'n', ':': 'c', '\r': 'r'}

// Escape adds a key or a value in the form in which it stands in a frame.
func Escape(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		if code := codes[s[i]]; code != 0 {
			b = append(append(b, s[from:i]...), '\\', code)
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}
