package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tfpilot/internal/quickjson"
	"tfpilot/internal/rawjson"
)

// Slice is one message of /topic/panda.slices: a range of time frames of one file, to be processed once.
type Slice struct {
	MsgType   string       `json:"msg_type"`
	RunID     RunID        `json:"run_id"`
	CreatedAt Timestamp    `json:"created_at,omitzero"`
	Sender    string       `json:"sender,omitempty"`
	Namespace string       `json:"namespace,omitempty"`
	Content   SliceContent `json:"content"`
}

// SliceContent says which frames of which file, and how. Results copy it whole, unknown keys included.
// Sizes are bytes; Start and End are inclusive frame numbers in the file.
type SliceContent struct {
	RunID       RunID  `json:"run_id,omitzero"`
	ExecutionID string `json:"execution_id,omitempty"`
	ReqID       Text   `json:"req_id,omitempty"`
	Filename    string `json:"filename,omitempty"`
	TFFilename  string `json:"tf_filename,omitempty"`
	SliceID     Int    `json:"slice_id,omitzero"`
	Start       Int    `json:"start,omitzero"`
	End         Int    `json:"end,omitzero"`
	TFCount     Int    `json:"tf_count,omitzero"`
	State       string `json:"state,omitempty"`
	Substate    string `json:"substate,omitempty"`

	// Read by workers, sent by no published producer.
	FileType            string          `json:"file_type,omitempty"`
	ProcessorType       string          `json:"processor_type,omitempty"`
	SliceProcessingTime json.RawMessage `json:"slice_processing_time,omitempty"`
	DestPath            string          `json:"dest_path,omitempty"`
	// WorkDir is where a production worker would work; a slice's folder is ours to choose.
	WorkDir     json.RawMessage `json:"workdir,omitempty"`
	EpicVersion string          `json:"epic_version,omitempty"`
	EpicImage   string          `json:"epic_image,omitempty"`

	// Ours (design.md 5). Attempt is 1 when absent: use AttemptNumber.
	Attempt        Int       `json:"attempt,omitzero"`
	FirstCreatedAt Timestamp `json:"first_created_at,omitzero"`
	Payload        string    `json:"payload,omitempty"`
	Size           Int       `json:"size,omitzero"`
	Adler32        string    `json:"adler32,omitempty"`
	// STFCreatedAt is when the file was complete, the origin of the time from data taken to result.
	STFCreatedAt Timestamp `json:"stf_created_at,omitzero"`
	// Traceparent is the slice's trace; see Trace.
	Traceparent json.RawMessage `json:"traceparent,omitempty"`

	// wire is the object as it came in, nil for a slice made here: valid JSON, which is taken apart for those who pass it on. invalid is
	// why a field of it could not be read.
	wire    json.RawMessage
	invalid error
}

// sliceContent has the fields without the methods, so that encoding/json does the plain work.
type sliceContent SliceContent

// UnmarshalJSON keeps the whole object beside the fields that are known. A field of the wrong type leaves a content that has
// its identity and says in Validate what is wrong: such a slice gets a failed result, and is no junk.
func (c *SliceContent) UnmarshalJSON(b []byte) error {
	if !json.Valid(b) {
		return errors.New("not JSON")
	}
	return c.UnmarshalValidJSON(b)
}

// UnmarshalValidJSON reads what is known to be JSON.
func (c *SliceContent) UnmarshalValidJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	plain, err := quickjson.Decode[sliceContent](b)
	if err != nil {
		wire, werr := rawjson.Split(b)
		if werr != nil {
			return werr
		}
		plain = sliceContent{invalid: err}
		for key, into := range map[string]any{
			"run_id": &plain.RunID, "req_id": &plain.ReqID, "tf_filename": &plain.TFFilename, "slice_id": &plain.SliceID, "attempt": &plain.Attempt,
		} {
			if raw := wire.Value(key); raw != nil {
				_ = json.Unmarshal(raw, into) // what is readable is enough
			}
		}
	}
	if string(b) != "null" {
		plain.wire = bytes.Clone(b)
	}
	*c = SliceContent(plain)
	return nil
}

// MarshalJSON writes what came in with the known fields over it.
func (c SliceContent) MarshalJSON() ([]byte, error) {
	o, err := c.Object()
	if err != nil {
		return nil, err
	}
	return o.MarshalJSON()
}

// Copy is what came in, to be extended into the copy that a result carries; of a slice made here it is Object.
func (c SliceContent) Copy() (rawjson.Object, error) {
	if c.wire == nil {
		return c.Object()
	}
	return rawjson.Split(c.wire)
}

// Object is what came in with the known fields over it.
func (c SliceContent) Object() (rawjson.Object, error) {
	b, err := json.Marshal(sliceContent(c))
	if err != nil {
		return nil, err
	}
	known, err := rawjson.Split(b)
	if err != nil || c.wire == nil {
		return known, err
	}
	out, err := rawjson.Split(c.wire)
	if err != nil {
		return nil, err
	}
	for _, m := range known {
		out.SetRaw(m.Key, m.Value)
	}
	return out, nil
}

// AttemptNumber counts publications of this slice for processing, from 1.
func (c SliceContent) AttemptNumber() int { return max(1, int(c.Attempt.Int64())) }

// ProcessingTime is how long simulated processing of a slice of file_type fake takes: 30 s unless a number >= 0 is given,
// as the production worker has it.
func (c SliceContent) ProcessingTime() time.Duration {
	const standard = 30 * time.Second
	s := strings.Trim(string(c.SliceProcessingTime), `"`)
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || math.IsNaN(f) || f > 1e7 {
		return standard
	}
	return time.Duration(f * float64(time.Second))
}

// Simulated says that the slice asks for no payload, only for its time.
func (c SliceContent) Simulated() bool { return c.FileType == "fake" || c.FileType == "mock" }

// Frames is the number of frames in the inclusive range.
func (c SliceContent) Frames() int { return int(c.End.Int64()-c.Start.Int64()) + 1 }

// Identity names the slice within its namespace and run: req_id, or file name and slice number where a peer sends none
// (slice_id alone restarts with every sample). Empty when the message names no slice at all.
func (c SliceContent) Identity() string {
	switch {
	case c.ReqID != "":
		return string(c.ReqID)
	case c.TFFilename != "" && !c.SliceID.IsZero():
		return fmt.Sprintf("%s#%d", c.TFFilename, c.SliceID.Int64())
	default:
		return ""
	}
}

// ErrNoIdentity marks a slice message that names no slice: junk by shape, to be acknowledged and counted.
var ErrNoIdentity = errors.New("slice has neither req_id nor tf_filename and slice_id")

// Validate answers whether the slice can be worked on. [ErrNoIdentity] means junk; any other error means a failed result of
// class data: the slice is known, but cannot be processed.
func (s Slice) Validate() error {
	c := s.Content
	if c.Identity() == "" {
		return ErrNoIdentity
	}
	if c.invalid != nil {
		return c.invalid
	}
	if err := s.Run().Validate(); err != nil {
		return err
	}
	var errs []error
	// The names of a slice go into logs, tables, headers and the payload's environment, whatever kind of slice it is.
	for _, f := range [][2]string{{"namespace", s.Namespace}, {"identity", c.Identity()}} {
		if hasControl(f[1]) {
			errs = append(errs, fmt.Errorf("%s %.80q: control character", f[0], f[1]))
		}
	}
	if c.Simulated() {
		return errors.Join(errs...) // simulated: the production worker looks at no file and no range
	}
	if c.Filename == "" {
		errs = append(errs, errors.New("filename missing"))
	}
	var workDir string
	_ = json.Unmarshal(c.WorkDir, &workDir) // nobody uses it, whatever it is
	for _, f := range [][2]string{{"filename", c.Filename}, {"tf_filename", c.TFFilename}, {"dest_path", c.DestPath}, {"workdir", workDir}} {
		if err := ValidatePath(f[1]); err != nil {
			errs = append(errs, fmt.Errorf("%s %.80q: %w", f[0], f[1], err))
		}
	}
	switch {
	case c.Start.IsZero() || c.End.IsZero():
		errs = append(errs, errors.New("start or end missing"))
	case c.Start.Int64() < 0:
		errs = append(errs, fmt.Errorf("start %d is negative", c.Start.Int64()))
	case c.End.Int64() < c.Start.Int64():
		errs = append(errs, fmt.Errorf("end %d before start %d", c.End.Int64(), c.Start.Int64()))
	case c.End.Int64() > math.MaxInt32:
		errs = append(errs, fmt.Errorf("end %d beyond any file", c.End.Int64()))
	}
	return errors.Join(errs...)
}

// maxPath is the kernel's.
const maxPath = 4096

// ValidatePath refuses what could lead out of a folder or into a second line.
func ValidatePath(p string) error {
	if hasControl(p) {
		return errors.New("control character in a path")
	}
	if len(p) > maxPath {
		return fmt.Errorf("%d bytes are no path", len(p))
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		return errors.New("path leads upward")
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// Run is the run number, from the envelope or else from the content.
func (s Slice) Run() RunID {
	if !s.RunID.IsZero() {
		return s.RunID
	}
	return s.Content.RunID
}

// Origin is when the slice was first created, over all its attempts: where latency starts.
func (s Slice) Origin() time.Time {
	if t := s.Content.FirstCreatedAt.Time(); !t.IsZero() {
		return t
	}
	return s.CreatedAt.Time()
}

// SliceDuplicateID is the _AMQ_DUPL_ID of one attempt of a slice.
func SliceDuplicateID(namespace, run, identity string, attempt int) string {
	return fmt.Sprintf("slice/%s/%s/%s/%d", namespace, run, identity, attempt)
}

// SliceFileName is the name of slice n (from 0) of a time-frame file or STF: `<base>_slice_NNN.tf`.
func SliceFileName(parent string, n int) string {
	return fmt.Sprintf("%s_slice_%03d.tf", strings.TrimSuffix(parent, path.Ext(parent)), n)
}
