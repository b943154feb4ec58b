package message

import (
	"errors"
	"fmt"
)

// RunMessage is a change of the run on /topic/epictopic: run_imminent, start_run, pause_run, resume_run, end_run.
// Older producers say ts instead of timestamp and send the run number as a number.
type RunMessage struct {
	MsgType        string    `json:"msg_type"`
	Namespace      string    `json:"namespace,omitempty"`
	ExecutionID    string    `json:"execution_id,omitempty"`
	RunID          RunID     `json:"run_id"`
	Timestamp      Timestamp `json:"timestamp,omitzero"`
	SimulationTick float64   `json:"simulation_tick"`
	State          string    `json:"state,omitempty"`
	Substate       string    `json:"substate,omitempty"`
	Sender         string    `json:"sender,omitempty"`
	Dataset        string    `json:"dataset,omitempty"`
	Container      string    `json:"container,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	TotalSTFFiles  Int       `json:"total_stf_files,omitzero"`
	// TotalSlices is ours: how many slices the run has published, so that a reader knows when it has them all.
	TotalSlices Int `json:"total_slices,omitzero"`
}

// Validate answers whether the message can be acted on.
func (m RunMessage) Validate() error {
	switch m.MsgType {
	case TypeRunImminent, TypeStartRun, TypePauseRun, TypeResumeRun, TypeEndRun:
	default:
		return fmt.Errorf("msg_type %q is no run message", m.MsgType)
	}
	if m.RunID.IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}

// STFGen says that a Super Time Frame file is complete. Sizes are bytes, Adler32 is eight hexadecimal digits of the file.
type STFGen struct {
	MsgType        string    `json:"msg_type"`
	Namespace      string    `json:"namespace,omitempty"`
	ExecutionID    string    `json:"execution_id,omitempty"`
	RunID          RunID     `json:"run_id"`
	Filename       string    `json:"filename"`
	Sequence       int       `json:"sequence"`
	Timestamp      Timestamp `json:"timestamp"`
	SimulationTick float64   `json:"simulation_tick"`
	State          string    `json:"state"`
	Substate       string    `json:"substate"`
	Sender         string    `json:"sender"`

	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
	FileURL   string `json:"file_url,omitempty"`
	TFCount   int    `json:"tf_count,omitempty"`
}

// Validate answers whether the message names a file of a run.
func (m STFGen) Validate() error { return needFile(m.MsgType, TypeSTFGen, m.RunID, m.Filename) }

// STFReady says that the data agent has taken the file in. The pointers are null where the agent does not know.
type STFReady struct {
	MsgType        string    `json:"msg_type"`
	Namespace      string    `json:"namespace,omitempty"`
	Sender         string    `json:"sender"`
	ProcessedBy    string    `json:"processed_by"`
	RunID          RunID     `json:"run_id"`
	ExecutionID    string    `json:"execution_id,omitempty"`
	Filename       string    `json:"filename"`
	FileURL        *string   `json:"file_url"`
	Checksum       *string   `json:"checksum"`
	SizeBytes      *int64    `json:"size_bytes"`
	Start          Timestamp `json:"start"`
	End            Timestamp `json:"end"`
	State          string    `json:"state"`
	Substate       string    `json:"substate"`
	Sequence       int       `json:"sequence"`
	SimulationTick float64   `json:"simulation_tick"`
	TFCount        int       `json:"tf_count,omitempty"`
}

// Validate answers whether the message names a file of a run.
func (m STFReady) Validate() error { return needFile(m.MsgType, TypeSTFReady, m.RunID, m.Filename) }

// TFFileRegistered says that a sample of time frames TFFirst..TFLast (inclusive, from 0) of an STF is to be had.
type TFFileRegistered struct {
	MsgType       string    `json:"msg_type"`
	Namespace     string    `json:"namespace,omitempty"`
	ExecutionID   *string   `json:"execution_id"`
	RunID         RunID     `json:"run_id"`
	TFFileID      string    `json:"tf_file_id"`
	TFFilename    string    `json:"tf_filename"`
	STFFilename   string    `json:"stf_filename"`
	TFFirst       int       `json:"tf_first"`
	TFLast        int       `json:"tf_last"`
	TFCount       int       `json:"tf_count"`
	FileSizeBytes int64     `json:"file_size_bytes"`
	Status        string    `json:"status"`
	ProcessedBy   string    `json:"processed_by"`
	Sender        string    `json:"sender"`
	Timestamp     Timestamp `json:"timestamp"`
}

// Validate answers whether the sample can be sliced.
func (m TFFileRegistered) Validate() error {
	if err := needFile(m.MsgType, TypeTFFileRegistered, m.RunID, m.TFFilename); err != nil {
		return err
	}
	if m.TFCount <= 0 || m.TFLast-m.TFFirst+1 != m.TFCount {
		return fmt.Errorf("frames %d..%d are not tf_count %d", m.TFFirst, m.TFLast, m.TFCount)
	}
	return nil
}

func needFile(msgType, want string, run RunID, file string) error {
	switch {
	case msgType != want:
		return fmt.Errorf("msg_type %q is not %s", msgType, want)
	case run.IsZero():
		return errors.New("run_id missing")
	case file == "":
		return errors.New("filename missing")
	}
	return ValidatePath(file)
}
