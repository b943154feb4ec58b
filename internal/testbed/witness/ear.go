package witness

import (
	"bytes"
	"io"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
	"tfpilot/internal/stompframe"
)

// heardAtOnce bounds what an ear has heard and not understood yet.
const heardAtOnce = 64

// ear hears what a pilot sends on one link and tells the witness of the results among it. It is the writer of a proxy's link.
type ear struct {
	chunks chan chunk
	last   chunk // that the reader of frames has had
	rest   []byte
}

// chunk is bytes with the time at which they were heard.
type chunk struct {
	bytes []byte
	at    time.Time
}

// Ear is for what a pilot sends on one link, and hears the results among it. The end of the link is its Close.
func (w *Witness) Ear() io.WriteCloser {
	e := &ear{chunks: make(chan chunk, heardAtOnce)}
	w.ears.Go(func() {
		e.listen(w)
		for range e.chunks { // what cannot be understood is let go
		}
	})
	return e
}

// Wait returns when all ears have understood what they heard, after their Close.
func (w *Witness) Wait() { w.ears.Wait() }

func (e *ear) listen(w *Witness) {
	frames := stompframe.NewReader(e, stompframe.Limits{})
	for {
		f, err := frames.Read()
		if err != nil {
			return
		}
		if f != nil && f.Command == frame.SEND && f.Header.Get(frame.Destination) == message.TopicResults {
			w.hear(f.Body, e.last.at) // a frame ends in the last chunk that was read for it
		}
	}
}

// Write hears.
func (e *ear) Write(b []byte) (int, error) {
	e.chunks <- chunk{bytes.Clone(b), time.Now()}
	return len(b), nil
}

// Close is the end of the link.
func (e *ear) Close() error {
	close(e.chunks)
	return nil
}

// Read is for the reader of frames: never more than what was heard at once, so that the time is that of the frame's end.
func (e *ear) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		next, more := <-e.chunks
		if !more {
			return 0, io.EOF
		}
		e.last, e.rest = next, next.bytes
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}
