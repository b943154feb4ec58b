package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// EpicMessage is anything on /topic/epictopic, in all shapes of past and present producers: what a run does, its STF and time-frame
// files, and the heart-beats of agents. Fields that a kind of message does not have are empty.
type EpicMessage struct {
	MsgType   string `json:"msg_type"`
	Namespace string `json:"namespace"`
	RunID     RunID  `json:"run_id"`
	// RunNumber is what the first fast monitor called it.
	RunNumber RunID     `json:"run_number"`
	Sender    string    `json:"sender"`
	Timestamp Timestamp `json:"timestamp"`
	// TS is the timestamp of the first DAQ simulator.
	TS       Timestamp `json:"ts"`
	State    string    `json:"state"`
	Substate string    `json:"substate"`
	// TotalSTFFiles is of end_run; TotalFiles is what its readers look for.
	TotalSTFFiles Int `json:"total_stf_files"`
	TotalFiles    Int `json:"total_files"`

	Filename    string    `json:"filename"`
	Sequence    Int       `json:"sequence"`
	Size        Int       `json:"size"`
	SizeBytes   Int       `json:"size_bytes"`
	Checksum    Text      `json:"checksum"`
	Adler32     Text      `json:"adler32"`
	FileURL     string    `json:"file_url"`
	Start       Timestamp `json:"start"`
	End         Timestamp `json:"end"`
	TFCount     Int       `json:"tf_count"`
	ProcessedBy string    `json:"processed_by"`

	TFFileID      Text   `json:"tf_file_id"`
	TFFilename    string `json:"tf_filename"`
	STFFilename   string `json:"stf_filename"`
	TFFirst       Int    `json:"tf_first"`
	TFLast        Int    `json:"tf_last"`
	FileSizeBytes Int    `json:"file_size_bytes"`
	Status        string `json:"status"`

	AgentName        string `json:"agent_name"`
	AgentType        string `json:"agent_type"`
	OperationalState string `json:"operational_state"`
	Description      string `json:"description"`
	Hostname         string `json:"hostname"`
	PID              Int    `json:"pid"`
}

// ReadEpic understands a message; what is none has [ErrNotMessage].
func ReadEpic(body []byte) (EpicMessage, error) {
	var m EpicMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrNotMessage, err)
	}
	if m.MsgType == "" && !m.IsHeartbeat() {
		return m, fmt.Errorf("%w: no msg_type", ErrNotMessage)
	}
	return m, nil
}

// Validate answers whether what the message tells can be noted.
func (m *EpicMessage) Validate() error {
	file := m.File()
	switch m.MsgType {
	case TypeRunImminent, TypeStartRun, TypePauseRun, TypeResumeRun, TypeEndRun:
		file = "none is needed"
	case TypeSTFGen, TypeTFFileRegistered:
	case TypeSTFReady: // an agent for Rucio says it once for a run, and names no file
		if file == "" {
			return nil
		}
	default:
		return nil
	}
	switch {
	case m.Run() == "":
		return errors.New("run_id missing")
	case len(m.Run()) > maxRun:
		return fmt.Errorf("a run_id of %d bytes", len(m.Run()))
	case file == "":
		return errors.New("filename missing")
	}
	return errors.Join(safePath(m.Filename), safePath(m.TFFilename), safePath(m.STFFilename))
}

// IsHeartbeat reports whether it says that an agent is alive, as the production monitor takes it.
func (m *EpicMessage) IsHeartbeat() bool { return m.AgentName != "" && m.Status != "" }

// Run is the number of the run.
func (m *EpicMessage) Run() string {
	if m.RunID.IsZero() {
		return m.RunNumber.String()
	}
	return m.RunID.String()
}

// At is when the message says that it was made.
func (m *EpicMessage) At() Timestamp {
	if m.Timestamp.IsZero() {
		return m.TS
	}
	return m.Timestamp
}

// From is who sent it.
func (m *EpicMessage) From() string {
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
func (m *EpicMessage) File() string {
	if m.MsgType == TypeTFFileRegistered {
		return name(m.TFFilename)
	}
	return name(m.Filename)
}

// STF is the name of the STF of a time-frame file; empty when it cannot be known.
func (m *EpicMessage) STF() string {
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
func (m *EpicMessage) Bytes() int64 {
	for _, n := range []Int{m.SizeBytes, m.Size, m.FileSizeBytes} {
		if n.Int64() > 0 {
			return n.Int64()
		}
	}
	return 0
}

// Sum is the Adler-32 of the file as eight hexadecimal digits, or the checksum as it was said when it is none.
func (m *EpicMessage) Sum() (adler32, other string) {
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

// The kinds of messages by which workers of the production system say that they are alive.
const (
	TypeTransformerStart     = "transformer_start"
	TypeTransformerHeartbeat = "transformer_heartbeat"
	TypeTransformerEnd       = "transformer_end"
)

// IsTransformer reports whether a msg_type is one of these.
func IsTransformer(msgType string) bool {
	return msgType == TypeTransformerStart || msgType == TypeTransformerHeartbeat || msgType == TypeTransformerEnd
}
