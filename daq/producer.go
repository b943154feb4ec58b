package daq

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/pause"
	"tfpilot/internal/runplan"
)

// Publisher sends a message and returns nil when the broker has it; it outlives connections and gives up with the context.
type Publisher interface {
	Publish(ctx context.Context, m broker.Out) error
}

// producer says on the wire what happens in the run.
type producer struct {
	pub  Publisher
	log  *slog.Logger
	plan runplan.Plan
	// input is what stands before a file's name in slices, url before it in the announcements.
	input, url string
	patience   time.Duration
	now        func() time.Time
}

// complainAfter is how long a message may take before the log says that the broker is away.
const complainAfter = 5 * time.Second

// refusedWait is the time between two attempts at a message that the broker refuses, because a queue is full say.
const refusedWait = time.Second

// send publishes one document until the broker has it, the context ends, or patience is over.
func (p *producer) send(ctx context.Context, destination, duplicateID string, document any, headers ...string) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing a message for %s: %w", destination, err)
	}
	within, cancel := context.WithTimeoutCause(ctx, p.patience, errPatience)
	defer cancel()
	started := p.now()
	complaint := time.AfterFunc(complainAfter, func() {
		p.log.WarnContext(ctx, "the broker does not take our message; still trying", slog.String("destination", destination),
			slog.Duration("patience", p.patience))
	})
	defer complaint.Stop()
	for {
		err := p.pub.Publish(within, broker.Out{Destination: destination, Body: body, Headers: headers, DuplicateID: duplicateID})
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && within.Err() == nil {
			p.log.WarnContext(ctx, "the broker refused our message; trying again", slog.String("destination", destination), logging.Err(err))
			if pause.For(within, refusedWait) == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// Why there is none is in the error, with its place: no broker, a passcode that it refuses, a certificate that is not trusted.
		return exitcode.Wrap(exitcode.From(err), fmt.Errorf("no receipt for %s; the position is kept, start again to go on: %w",
			p.now().Sub(started).Round(time.Second), err))
	}
}

var errPatience = fmt.Errorf("the broker stayed away")

// headers are those of a panda message; persistent says whether it survives the broker.
func (p *producer) headers(msgType string, persistent bool) []string {
	return []string{
		"persistent", strconv.FormatBool(persistent), "vo", message.VO, "msg_type", msgType,
		"run_id", p.plan.Run, "namespace", p.plan.Namespace, "content-type", "application/json",
	}
}

// runMessage is what a run message of this step says.
func (p *producer) runMessage(s runplan.Step) message.RunMessage {
	m := message.RunMessage{
		MsgType: s.Message, Namespace: p.plan.Namespace, ExecutionID: p.plan.ExecutionID, RunID: message.Run(p.plan.Run),
		Timestamp: message.At(p.now()), SimulationTick: s.Tick.Seconds(), Sender: p.plan.Sender,
		State: string(s.Condition.State), Substate: string(s.Condition.Substate),
	}
	switch s.Message {
	case message.TypeRunImminent:
		m.Dataset = runplan.Dataset(p.plan.Run)
	case message.TypePauseRun:
		m.Reason = "end of a physics period"
	case message.TypeEndRun:
		m.State, m.Substate = "", "" // as the production runner has it
	}
	return m
}

// run announces a run message, and to those who provide workers what they need of it.
func (p *producer) run(ctx context.Context, m message.RunMessage) error {
	if err := p.send(ctx, message.TopicEpic, "", m); err != nil {
		return err
	}
	workers := func(msgType string, document any) error {
		id := fmt.Sprintf("run/%s/%s/%s", p.plan.Namespace, p.plan.Run, msgType)
		// Persistent, unlike the production agent's: a broker that dies while idds is away would forget the end of the run.
		return p.send(ctx, message.TopicWorkers, id, document, p.headers(msgType, true)...)
	}
	switch m.MsgType {
	case message.TypeRunImminent:
		seconds := func(d time.Duration) message.Float { return message.NewFloat(d.Seconds()) }
		count := message.NewInt(int64(p.plan.TargetWorkerCount))
		return workers(message.TypeRunImminentWorker, message.RunImminentWorker{
			MsgType: message.TypeRunImminentWorker, RunID: m.RunID, CreatedAt: m.Timestamp, Sender: m.Sender, Namespace: m.Namespace,
			Content: message.RunImminentWorkerContent{
				RunMessage: m, CoreCount: count, TargetWorkerCount: count,
				SliceProcessingTime: seconds(p.plan.SliceProcessingTime),
				WorkerRampupTime:    seconds(p.plan.WorkerRampupTime), WorkerRampdownTime: seconds(p.plan.WorkerRampdownTime),
			},
		})
	case message.TypeEndRun:
		return workers(message.TypeEndRun, message.EndRun{
			MsgType: message.TypeEndRun, RunID: m.RunID, CreatedAt: m.Timestamp, Sender: m.Sender, Namespace: m.Namespace, Content: m,
		})
	default:
		return nil
	}
}

// announce says that an STF file is there, has been taken in, and which samples of it are to be had.
func (p *producer) announce(ctx context.Context, s runplan.STF, step runplan.Step) error {
	run, at := message.Run(p.plan.Run), message.At(s.CreatedAt)
	state, substate := string(step.Condition.State), string(step.Condition.Substate)
	var url string
	if s.SizeBytes > 0 {
		url = p.url + s.Name
	}
	gen := message.STFGen{
		MsgType: message.TypeSTFGen, Namespace: p.plan.Namespace, ExecutionID: p.plan.ExecutionID, RunID: run,
		Filename: s.Name, Sequence: s.Sequence, Timestamp: at, SimulationTick: step.Tick.Seconds(), State: state, Substate: substate,
		Sender: p.plan.Sender, SizeBytes: s.SizeBytes, Adler32: s.Adler32, FileURL: url, TFCount: p.plan.Frames,
	}
	if err := p.send(ctx, message.TopicEpic, "", gen); err != nil {
		return err
	}
	ready := message.STFReady{
		MsgType: message.TypeSTFReady, Namespace: p.plan.Namespace, Sender: p.plan.Sender, ProcessedBy: p.plan.Sender, RunID: run,
		ExecutionID: p.plan.ExecutionID, Filename: s.Name, State: state, Substate: substate, Sequence: s.Sequence,
		SimulationTick: step.Tick.Seconds(), TFCount: p.plan.Frames,
	}
	if s.SizeBytes > 0 {
		ready.FileURL, ready.Checksum, ready.SizeBytes = &url, &s.Adler32, &s.SizeBytes
	}
	if err := p.send(ctx, message.TopicEpic, "", ready); err != nil {
		return err
	}
	for _, sample := range p.plan.Samples(s) {
		err := p.send(ctx, message.TopicEpic, "", message.TFFileRegistered{
			MsgType: message.TypeTFFileRegistered, Namespace: p.plan.Namespace, ExecutionID: &p.plan.ExecutionID, RunID: run,
			TFFileID: sample.ID, TFFilename: sample.Name, STFFilename: s.Name,
			TFFirst: sample.Range.First, TFLast: sample.Range.Last, TFCount: sample.Range.Count(),
			// The production simulation has the number of frames here.
			FileSizeBytes: int64(sample.Range.Count()), Status: "registered",
			ProcessedBy: p.plan.Sender, Sender: p.plan.Sender, Timestamp: at,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// slice publishes one slice. Sent again it is the same message, byte for byte.
func (p *producer) slice(ctx context.Context, s runplan.STF, slice runplan.Slice) error {
	created := message.At(slice.CreatedAt)
	c := message.SliceContent{
		RunID: message.Run(p.plan.Run), ExecutionID: p.plan.ExecutionID, ReqID: message.Text(slice.ReqID),
		Filename: p.input + s.Name, TFFilename: slice.Name, SliceID: message.NewInt(int64(slice.ID)),
		Start: message.NewInt(int64(slice.Range.First)), End: message.NewInt(int64(slice.Range.Last)),
		TFCount: message.NewInt(int64(slice.Range.Count())), State: "queued", Substate: "new",
		FileType: p.plan.FileType, Payload: p.plan.Payload,
		Attempt: message.NewInt(1), FirstCreatedAt: created, STFCreatedAt: message.At(s.CreatedAt), Adler32: s.Adler32,
	}
	c.SetTrace(message.SliceTrace(p.plan.Namespace, p.plan.Run, slice.ReqID))
	if s.SizeBytes > 0 {
		c.Size = message.NewInt(s.SizeBytes)
	}
	if p.plan.FileType != "" {
		c.SliceProcessingTime = json.RawMessage(strconv.FormatFloat(p.plan.SliceProcessingTime.Seconds(), 'f', -1, 64))
	}
	headers := p.headers(message.TypeSlice, true)
	if p.plan.SliceLifetime > 0 {
		// The broker reads expires alone; ttl is for the eyes of the production consumers.
		headers = append(headers, "ttl", strconv.FormatInt(p.plan.SliceLifetime.Milliseconds(), 10),
			"expires", strconv.FormatInt(slice.CreatedAt.Add(p.plan.SliceLifetime).UnixMilli(), 10))
	}
	return p.send(ctx, message.TopicSlices, message.SliceDuplicateID(p.plan.Namespace, p.plan.Run, slice.ReqID, 1), message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(p.plan.Run), CreatedAt: created, Sender: p.plan.Sender,
		Namespace: p.plan.Namespace, Content: c,
	}, headers...)
}
