package resident

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tfpilot/internal/message"
	"tfpilot/payload"
)

// maxLine is beyond any result that is taken: one of docs/payloads.md with its envelope.
const maxLine = 9 << 20

// request is the line that a process gets for a slice. Processes take no notice of keys that they do not know.
type request struct {
	ReqID     string        `json:"req_id"`
	Input     string        `json:"input"`
	First     int64         `json:"first"`
	Last      int64         `json:"last"`
	Dir       string        `json:"dir"`
	RunID     string        `json:"run_id"`
	Attempt   int           `json:"attempt"`
	Namespace string        `json:"namespace"`
	TFFile    string        `json:"tf_filename"`
	Slice     message.Slice `json:"slice"`
}

// encode makes the line of a request.
func encode(r payload.Request) ([]byte, error) {
	c := r.Slice.Content
	line, err := json.Marshal(request{
		ReqID: c.Identity(), Input: r.Input, First: c.Start.Int64(), Last: c.End.Int64(), Dir: r.Dir, RunID: r.Slice.Run().String(),
		Attempt: c.AttemptNumber(), Namespace: r.Slice.Namespace, TFFile: c.TFFilename, Slice: r.Slice,
	})
	return append(line, '\n'), err
}

// line is what a process says: that it is ready, that it is alive, or what became of a slice.
type line struct {
	// Ready is the first that it says; false, with status and message, when it will not be.
	Ready *bool `json:"ready"`
	Alive bool  `json:"alive"`

	ReqID   *string         `json:"req_id"`
	Status  *int            `json:"status"`
	Message string          `json:"message"`
	Result  json.RawMessage `json:"result"`
	// Failure says by name what status says by number, and goes before it.
	Failure *payload.Failure `json:"failure"`
}

// errTooLong says that a line has no end.
var errTooLong = fmt.Errorf("a line of more than %d MB", maxLine>>20)

// readLine reads the next line, which ends with a line end. It keeps nothing of the reader's.
func readLine(r *bufio.Reader) (line, error) {
	var whole []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(whole)+len(part) > maxLine {
			return line{}, errTooLong
		}
		if err == nil && whole == nil {
			return parse(part)
		}
		whole = append(whole, part...)
		switch {
		case err == nil:
			return parse(whole)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(bytes.TrimSpace(whole)) > 0:
			return line{}, fmt.Errorf("half a line, %s", quote(whole))
		default:
			return line{}, io.EOF // a pipe knows no other end
		}
	}
}

func parse(text []byte) (l line, err error) {
	text = bytes.Trim(text, " \t\r\n") // the white space of JSON, and no other
	if len(text) == 0 || text[0] != '{' {
		return l, fmt.Errorf("%s, which is no JSON object", quote(text))
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s: %w", quote(text), err)
	}
	if l.Ready == nil && !l.Alive && l.Status == nil {
		return l, fmt.Errorf("%s, which has neither ready, alive nor status", quote(text))
	}
	return l, nil
}

// quote is the beginning of what a process said, for people.
func quote(text []byte) string { return fmt.Sprintf("%.100q", text[:min(len(text), 200)]) }
