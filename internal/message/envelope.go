package message

import (
	"errors"
	"fmt"

	"tfpilot/internal/quickjson"
	"tfpilot/internal/rawjson"
)

// The values of msg_type.
const (
	TypeSlice             = "slice"
	TypeSliceResult       = "slice_result"
	TypeRunImminent       = "run_imminent"
	TypeStartRun          = "start_run"
	TypePauseRun          = "pause_run"
	TypeResumeRun         = "resume_run"
	TypeEndRun            = "end_run"
	TypeSTFGen            = "stf_gen"
	TypeSTFReady          = "stf_ready"
	TypeTFFileRegistered  = "tf_file_registered"
	TypeRunImminentWorker = "run_imminent_worker"
	TypeStopTransformer   = "stop_transformer"
	TypeHeartbeat         = "heartbeat"
	// By which workers of the production system say that they are alive.
	TypeTransformerStart     = "transformer_start"
	TypeTransformerHeartbeat = "transformer_heartbeat"
	TypeTransformerEnd       = "transformer_end"
	// What the production transceiver asks iDDS for, and iDDS' answers.
	TypeCreateWorkflowTask = "create_workflow_task"
	TypeAdjustWorker       = "adjust_worker"
	TypeCloseWorkflowTask  = "close_workflow_task"

	TypeCreatedWorkflowTask = "created_workflow_task"
	TypeAdjustedWorker      = "adjusted_worker"
	TypeClosedWorkflowTask  = "closed_workflow_task"
	TypeWorkflowTaskError   = "workflow_task_error" // ours
)

// The destinations of the production system. They are opaque: the broker gives the slashes no meaning.
const (
	TopicEpic             = "/topic/epictopic"
	TopicSlices           = "/topic/panda.slices"
	TopicResults          = "/topic/panda.results"
	TopicWorkers          = "/topic/panda.workers"
	TopicTransformer      = "/topic/panda.transformer"
	QueueSlicesWorkers    = "/queue/panda.slices.transformer"
	QueueSlicesIDDS       = "/queue/panda.slices.idds"
	QueueResultsFast      = "/queue/panda.results.fastprocessing"
	QueueResultsWorker    = "/queue/panda.results.worker"
	QueueResultsIDDS      = "/queue/panda.results.idds"
	HeaderDuplicateID     = "_AMQ_DUPL_ID"
	HeaderOriginalQueue   = "_AMQ_ORIG_QUEUE"
	HeaderOriginalAddress = "_AMQ_ORIG_ADDRESS"
	// VO is the value of the vo header of every panda message.
	VO = "eic"
)

// IsTransformer reports whether a msg_type is one by which a worker of the production system says that it is alive.
func IsTransformer(msgType string) bool {
	return msgType == TypeTransformerStart || msgType == TypeTransformerHeartbeat || msgType == TypeTransformerEnd
}

// Durable are the headers of a subscription to a topic which the broker keeps while its client is away. The second is how Classic calls
// it; Artemis takes either.
func Durable(name string) []string {
	return []string{"durable-subscription-name", name, "activemq.subscriptionName", name}
}

// ErrNotMessage marks a body that is no JSON object with a msg_type: junk by shape.
var ErrNotMessage = errors.New("not a message")

// Envelope is what every message has, read before it is known what the message is.
type Envelope struct {
	MsgType   string    `json:"msg_type"`
	RunID     RunID     `json:"run_id"`
	Namespace string    `json:"namespace"`
	Sender    string    `json:"sender"`
	CreatedAt Timestamp `json:"created_at"`
}

// Peek reads the envelope. Its error is always [ErrNotMessage].
func Peek(body []byte) (Envelope, error) {
	e, err := unmarshal[Envelope](body)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrNotMessage, err)
	}
	if e.MsgType == "" {
		return e, fmt.Errorf("%w: no msg_type", ErrNotMessage)
	}
	if len(e.RunID.text) > MaxRunID {
		return e, fmt.Errorf("%w: %w", ErrNotMessage, ErrLongRun)
	}
	return e, nil
}

// Decode reads a message that can be validated.
func Decode[T interface{ Validate() error }](body []byte) (T, error) {
	m, err := unmarshal[T](body)
	if err != nil {
		return m, fmt.Errorf("decoding %T: %w", m, err)
	}
	return m, m.Validate()
}

// unmarshal reads JSON, and what Python takes for it.
func unmarshal[T any](body []byte) (T, error) {
	m, err := quickjson.Decode[T](body)
	if err == nil {
		return m, nil
	}
	if quoted := rawjson.QuoteNaN(body); quoted != nil {
		return quickjson.Decode[T](quoted)
	}
	return m, err
}
