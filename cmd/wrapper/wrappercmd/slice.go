package wrappercmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/wrapper"
)

// maxSlice bounds a slice message in bytes; real ones have less than one thousand.
const maxSlice = 1 << 20

// made is a slice that is described by flags instead of a message. These are not options of internal/config: TFPILOT_INPUT
// and the like are set for payloads, and a developer's shell may have them too.
type made struct {
	input       string
	first, last int64
	frames      string
}

func (m *made) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "input", Aliases: []string{"stf"}, Usage: "make a slice of this `FILE`, or file at a URL, instead of reading a message", Destination: &m.input},
		&cli.StringFlag{Name: "frames", Usage: "frames of the slice that is made, such as 0-65; or --first and --last", Destination: &m.frames},
		&cli.Int64Flag{Name: "first", Usage: "first frame of the slice that is made", Destination: &m.first},
		&cli.Int64Flag{Name: "last", Usage: "last frame of the slice that is made, inclusive", DefaultText: "the first", Destination: &m.last},
	}
}

// slice is what a producer would send for the flags.
func (m *made) slice(c *cli.Context) (message.Slice, error) {
	input := m.input
	var err error
	if !wrapper.IsURL(input) {
		if input, err = filepath.Abs(m.input); err != nil {
			return message.Slice{}, exitcode.Wrap(exitcode.Usage, err)
		}
	}
	first, last := m.first, m.last
	if !c.IsSet("last") {
		last = first
	}
	if m.frames != "" {
		if first, last, err = m.parseFrames(c); err != nil {
			return message.Slice{}, err
		}
	}
	const run = "1"
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Sender: "wrapper",
		Content: message.SliceContent{
			RunID: message.Run(run), ReqID: message.Text(fmt.Sprintf("wrapper-%d-%d", first, last)),
			Filename: input, TFFilename: message.SliceFileName(filepath.Base(input), 0), SliceID: message.NewInt(0),
			Start: message.NewInt(first), End: message.NewInt(last), TFCount: message.NewInt(last - first + 1),
		},
	}, nil
}

// parseFrames reads "0-65", or "7" for one frame.
func (m *made) parseFrames(c *cli.Context) (first, last int64, err error) {
	if c.IsSet("first") || c.IsSet("last") {
		return 0, 0, exitcode.New(exitcode.Usage, "give --frames, or --first and --last, not both")
	}
	from, to, isRange := strings.Cut(m.frames, "-")
	if !isRange {
		to = from
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if errors.Join(err1, err2) != nil {
		return 0, 0, exitcode.New(exitcode.Usage, "--frames %q is no range of frames: write it like 0-65", m.frames)
	}
	return first, last, nil
}

// readSlice takes the slice from where the command line says. What is no slice message at all is wrong use; a slice message
// with a wrong range goes on, and fails as it would in a pilot.
func readSlice(c *cli.Context, m made, args []string) (s message.Slice, err error) {
	switch {
	case len(args) > 1:
		return s, exitcode.New(exitcode.Usage, "one slice at a time: %q is too much", args[1])
	case m.input != "" && len(args) > 0:
		return s, exitcode.New(exitcode.Usage, "give a slice message or --input, not both")
	case m.input != "":
		return m.slice(c)
	case c.IsSet("first") || c.IsSet("last") || c.IsSet("frames"):
		return s, exitcode.New(exitcode.Usage, "--frames, --first and --last go with --input")
	case len(args) == 0:
		return s, exitcode.New(exitcode.Usage, "no slice: give a slice message (a file, or - for stdin) or --input FILE")
	}
	name := args[0]
	in := c.App.Reader
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return s, exitcode.New(exitcode.Usage, "reading the slice: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxSlice+1))
	if err == nil && len(body) > maxSlice {
		err = fmt.Errorf("larger than %d bytes", maxSlice)
	}
	if err != nil {
		return s, exitcode.New(exitcode.Usage, "reading the slice %s: %w", name, err)
	}
	if s, err = decodeSlice(body); err != nil {
		return s, exitcode.New(exitcode.Usage, "%s: %w", name, err)
	}
	return s, nil
}

// dataDir is where the relative file name of a slice is looked up when nothing is said: the current folder, as by a pilot, or
// beside the message when the file is only there. That of an absolute name is its own: containers are to see it from the beginning.
func dataDir(file string, s message.Slice) string {
	name := s.Content.Filename
	if isFileName(name) && filepath.IsAbs(name) {
		return filepath.Dir(name)
	}
	if file == "" || file == "-" || !isFileName(name) {
		return ""
	}
	dir := filepath.Dir(file)
	_, here := os.Stat(name)
	if _, there := os.Stat(filepath.Join(dir, name)); here != nil && there == nil {
		return dir
	}
	return ""
}

// isFileName holds for what is no address of a file elsewhere.
func isFileName(name string) bool { return name != "" && !strings.Contains(name, "://") }

// decodeSlice says clearly what a file is when it is not a slice message.
func decodeSlice(body []byte) (s message.Slice, err error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return s, fmt.Errorf("not a JSON object: %w", err)
	}
	var kind string
	_ = json.Unmarshal(keys["msg_type"], &kind) // another type than text is no slice either
	switch {
	case keys["content"] == nil && (keys["filename"] != nil || keys["req_id"] != nil || keys["slice_id"] != nil):
		return s, errors.New(`only the content of a slice, not the whole message; make it {"msg_type":"slice","run_id":"1","content":{...}}`)
	case kind != message.TypeSlice:
		return s, fmt.Errorf(`not a slice message: msg_type is %.40q, not "slice"`, kind)
	case keys["content"] == nil:
		return s, errors.New("not a slice message: it has no content")
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("not a slice message: %w", err)
	}
	if errors.Is(s.Validate(), message.ErrNoIdentity) {
		return s, fmt.Errorf("not a slice message: %w; a pilot takes it for junk", message.ErrNoIdentity)
	}
	return s, nil
}
