package message

import (
	"errors"
	"fmt"
)

// RunImminentWorker asks for workers, on /topic/panda.workers. Times are seconds.
type RunImminentWorker struct {
	MsgType   string                   `json:"msg_type"`
	RunID     RunID                    `json:"run_id"`
	CreatedAt Timestamp                `json:"created_at"`
	Sender    string                   `json:"sender,omitempty"`
	Namespace string                   `json:"namespace,omitempty"`
	Content   RunImminentWorkerContent `json:"content"`
}

// RunImminentWorkerContent is the run_imminent message with what its workers are to be. CoreCount repeats
// TargetWorkerCount: the production consumers read either.
type RunImminentWorkerContent struct {
	RunMessage
	CoreCount           Int   `json:"core_count,omitzero"`
	TargetWorkerCount   Int   `json:"target_worker_count,omitzero"`
	NumWorkers          Int   `json:"num_workers,omitzero"`
	NumCoresPerWorker   Int   `json:"num_cores_per_worker,omitzero"`
	NumRAMPerCore       Float `json:"num_ram_per_core,omitzero"` // MB
	Site                Text  `json:"site,omitempty"`
	SliceProcessingTime Float `json:"slice_processing_time,omitzero"`
	WorkerRampupTime    Float `json:"worker_rampup_time,omitzero"`
	WorkerRampdownTime  Float `json:"worker_rampdown_time,omitzero"`
}

// Validate answers whether the request can be met. Documents still call the message run_imminent: both are accepted.
func (m RunImminentWorker) Validate() error {
	if m.MsgType != TypeRunImminentWorker && m.MsgType != TypeRunImminent {
		return fmt.Errorf("msg_type %q is not %s", m.MsgType, TypeRunImminentWorker)
	}
	if m.RunID.IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}

// MostWorkers is how many workers anybody may ask for: more are a mistake.
const MostWorkers = 1_000_000

// Workers is how many workers are asked for, 1 when the message does not say, and [MostWorkers] at most.
func (m RunImminentWorker) Workers() int {
	for _, n := range []Int{m.Content.TargetWorkerCount, m.Content.NumWorkers, m.Content.CoreCount} {
		if n.Int64() > 0 {
			return int(min(n.Int64(), MostWorkers))
		}
	}
	return 1
}

// EndRun ends a run on /topic/panda.workers.
type EndRun struct {
	MsgType   string     `json:"msg_type"`
	RunID     RunID      `json:"run_id"`
	CreatedAt Timestamp  `json:"created_at"`
	Sender    string     `json:"sender,omitempty"`
	Namespace string     `json:"namespace,omitempty"`
	Content   RunMessage `json:"content"`
}

// IsEndRun reports whether a msg_type is one of the names under which the end of a run is announced.
func IsEndRun(msgType string) bool {
	return msgType == TypeEndRun || msgType == "run_end" || msgType == "run_stop"
}

// Validate answers whether the message names a run.
func (m EndRun) Validate() error {
	if !IsEndRun(m.MsgType) {
		return fmt.Errorf("msg_type %q is not %s", m.MsgType, TypeEndRun)
	}
	if m.RunID.IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}

// StopTransformer tells the workers of a run to drain, on /topic/panda.transformer.
type StopTransformer struct {
	MsgType   string                 `json:"msg_type"`
	RunID     RunID                  `json:"run_id"`
	CreatedAt Timestamp              `json:"created_at"`
	Sender    string                 `json:"sender,omitempty"`
	Namespace string                 `json:"namespace,omitempty"`
	Content   StopTransformerContent `json:"content"`
}

// StopTransformerContent carries the created_at of the message that ended the run.
type StopTransformerContent struct {
	RequestedAt Timestamp `json:"requested_at"`
}

// Validate answers whether the message names a run.
func (m StopTransformer) Validate() error {
	if m.MsgType != TypeStopTransformer {
		return fmt.Errorf("msg_type %q is not %s", m.MsgType, TypeStopTransformer)
	}
	if m.RunID.IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}
