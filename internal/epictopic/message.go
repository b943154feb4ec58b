package epictopic

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"tfpilot/internal/message"
)

// Message is anything on /topic/epictopic, in all shapes of past and present producers: what a run does, its STF and time-frame
// files, and the heart-beats of agents. Fields that a kind of message does not have are empty.
type Message struct {
	MsgType   string        `json:"msg_type"`
	Namespace string        `json:"namespace"`
	RunID     message.RunID `json:"run_id"`
	// RunNumber is what the first fast monitor called it.
	RunNumber message.RunID     `json:"run_number"`
	Sender    string            `json:"sender"`
	Timestamp message.Timestamp `json:"timestamp"`
	// TS is the timestamp of the first DAQ simulator.
	TS       message.Timestamp `json:"ts"`
	State    string            `json:"state"`
	Substate string            `json:"substate"`
	// TotalSTFFiles is of end_run; TotalFiles is what its readers look for.
	TotalSTFFiles message.Int `json:"total_stf_files"`
	TotalFiles    message.Int `json:"total_files"`

	Filename    string            `json:"filename"`
	Sequence    message.Int       `json:"sequence"`
	Size        message.Int       `json:"size"`
	SizeBytes   message.Int       `json:"size_bytes"`
	Checksum    message.Text      `json:"checksum"`
	Adler32     message.Text      `json:"adler32"`
	FileURL     string            `json:"file_url"`
	Start       message.Timestamp `json:"start"`
	End         message.Timestamp `json:"end"`
	TFCount     message.Int       `json:"tf_count"`
	ProcessedBy string            `json:"processed_by"`

	TFFileID      message.Text `json:"tf_file_id"`
	TFFilename    string       `json:"tf_filename"`
	STFFilename   string       `json:"stf_filename"`
	TFFirst       message.Int  `json:"tf_first"`
	TFLast        message.Int  `json:"tf_last"`
	FileSizeBytes message.Int  `json:"file_size_bytes"`
	Status        string       `json:"status"`

	AgentName        string      `json:"agent_name"`
	AgentType        string      `json:"agent_type"`
	OperationalState string      `json:"operational_state"`
	Description      string      `json:"description"`
	Hostname         string      `json:"hostname"`
	PID              message.Int `json:"pid"`
}

// Read understands a message; what is none has [message.ErrNotMessage].
func Read(body []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("%w: %w", message.ErrNotMessage, err)
	}
	if m.MsgType == "" && !m.IsHeartbeat() {
		return m, fmt.Errorf("%w: no msg_type", message.ErrNotMessage)
	}
	return m, nil
}

// Validate answers whether what the message tells can be noted.
func (m *Message) Validate() error {
	file := m.File()
	switch m.MsgType {
	case message.TypeRunImminent, message.TypeStartRun, message.TypePauseRun, message.TypeResumeRun, message.TypeEndRun:
		file = "none is needed"
	case message.TypeSTFGen, message.TypeTFFileRegistered:
	case message.TypeSTFReady: // an agent for Rucio says it once for a run, and names no file
		if file == "" {
			return nil
		}
	default:
		return nil
	}
	switch {
	case m.Run() == "":
		return errors.New("run_id missing")
	case len(m.Run()) > message.MaxRunID:
		return message.ErrLongRun
	case file == "":
		return errors.New("filename missing")
	}
	return errors.Join(message.ValidatePath(m.Filename), message.ValidatePath(m.TFFilename), message.ValidatePath(m.STFFilename))
}

// IsHeartbeat reports whether it says that an agent is alive, as the production monitor takes it.
func (m *Message) IsHeartbeat() bool { return m.AgentName != "" && m.Status != "" }

// Run is the number of the run.
func (m *Message) Run() string {
	if m.RunID.IsZero() {
		return m.RunNumber.String()
	}
	return m.RunID.String()
}

// At is when the message says that it was made.
func (m *Message) At() message.Timestamp {
	if m.Timestamp.IsZero() {
		return m.TS
	}
	return m.Timestamp
}

// From is who sent it.
func (m *Message) From() string {
	switch {
	case m.Sender != "":
		return m.Sender
	case m.AgentName != "":
		return m.AgentName
	default:
		return m.ProcessedBy
	}
}

// File is the name of the file that it tells of, without folders.
func (m *Message) File() string {
	if m.MsgType == message.TypeTFFileRegistered {
		return name(m.TFFilename)
	}
	return name(m.Filename)
}

// STF is the name of the STF of a time-frame file; empty when it cannot be known.
func (m *Message) STF() string {
	if m.STFFilename != "" {
		return name(m.STFFilename)
	}
	if base, _, ok := strings.Cut(m.File(), "_tf_"); ok { // as fast monitors name them
		return base + ".stf"
	}
	return ""
}

func name(of string) string {
	if of == "" {
		return ""
	}
	return path.Base(of)
}

// Bytes is the size of the file, 0 when it was not said.
func (m *Message) Bytes() int64 {
	for _, n := range []message.Int{m.SizeBytes, m.Size, m.FileSizeBytes} {
		if n.Int64() > 0 {
			return n.Int64()
		}
	}
	return 0
}

// Sum is the Adler-32 of the file as eight hexadecimal digits, or the checksum as it was said when it is none.
func (m *Message) Sum() (adler32, other string) {
	text := string(m.Adler32)
	if text == "" {
		text = string(m.Checksum)
	}
	digits, marked := strings.CutPrefix(strings.ToLower(text), "ad:")
	if marked { // the first DAQ simulator wrote it in decimal
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
			return fmt.Sprintf("%08x", n), ""
		}
	}
	if n, err := strconv.ParseUint(digits, 16, 32); err == nil && len(digits) == 8 {
		return fmt.Sprintf("%08x", n), ""
	}
	return "", text
}
