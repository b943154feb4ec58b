package document

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

// The events of GET /v1/events.
const (
	EventBoard      = "board"      // a [Board]
	EventHistograms = "histograms" // a [HistogramsEvent]
	EventBye        = "bye"        // the service stops, or the token's time is over; its data is a [ByeEvent]
)

// HistogramsEvent is a run's merged histograms, as GET /v1/runs/{run}/histograms has them.
type HistogramsEvent struct {
	RunID     string `json:"run_id"`
	Namespace string `json:"namespace"`
	// At is histograms_at of the run on the board.
	At int64 `json:"histograms_at"`
	// Omitted says that they are too large to be sent to everybody whenever they change: they are to be asked for.
	Omitted    bool            `json:"omitted,omitempty"`
	Histograms json.RawMessage `json:"histograms,omitempty"`
}

// ByeEvent says why no more events come.
type ByeEvent struct {
	Reason string `json:"reason"`
	// Back says that it is worth while to come again.
	Back bool `json:"back"`
}

// Event is a server-sent event: its name, its id if it has one, and its data, which is of one line. One without a name is a comment
// that only shows that the line is alive.
type Event struct {
	Name, ID string
	Data     []byte
}

// WriteTo writes the event as it stands in the stream.
func (e Event) WriteTo(w io.Writer) (n int64, err error) {
	head := ":"
	if e.Name != "" {
		head = "event: " + e.Name + "\ndata: "
	}
	if e.ID != "" {
		head = "id: " + e.ID + "\n" + head
	}
	for _, part := range [][]byte{[]byte(head), e.Data, []byte("\n\n")} {
		written, err := w.Write(part)
		if n += int64(written); err != nil {
			return n, err
		}
	}
	return n, nil
}

// maxEvent bounds a line of a stream of events.
const maxEvent = 64 << 20

// ReadEvents hands over the events of a stream as they come, comments too, until it ends or each returns an error.
func ReadEvents(r io.Reader, each func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e Event
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.Name = string(value)
		case "id":
			e.ID = string(value)
		case "data":
			if e.Data != nil {
				e.Data = append(e.Data, '\n')
			}
			e.Data = append(e.Data, value...)
		case "":
			if len(lines.Bytes()) > 0 { // a comment
				continue
			}
			if err := each(e); err != nil {
				return err
			}
			e = Event{}
		}
	}
	return lines.Err()
}
