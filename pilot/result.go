package pilot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strconv"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/wrapper"
)

// result is the message that says what became of a slice.
func (p *Pilot) result(m message.Slice, o wrapper.Outcome) ([]byte, error) {
	took := (o.Ended.Sub(o.Started) - o.Result.Usage.Startup).Seconds()
	inner, err := m.Content.Copy()
	if err != nil {
		return nil, exitcode.New(exitcode.DataInvalid, "copying the slice: %w", err)
	}
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.Run(), CreatedAt: message.At(time.Now()), Sender: p.id, Namespace: m.Namespace,
		Content: message.ResultContent{
			RequestedAt: m.CreatedAt, ReceivedAt: message.At(p.received(m.Content.Identity())), ProcessingStartAt: message.At(o.Started), ProcessedAt: message.At(o.Ended),
			State: message.StateDone, Hostname: p.host,
			PandaServerURL: environment("PANDA_SERVER_URL"), PandaTaskID: environment("PanDA_TaskID"),
			PandaID: environment("PANDAID"), HarvesterID: environment("HARVESTER_WORKER_ID"),
			ProcessingTime: &took, Attempt: message.NewInt(int64(m.Content.AttemptNumber())),
			ReqID: m.Content.ReqID, PilotID: p.id, Payload: &o.Payload, Counts: o.Result.Counts, Usage: o.Usage(), Input: o.Input.Message(),
		},
	}
	set := func(key string, value any) { err = errors.Join(err, inner.Set(key, value)) }
	if o.Err == nil {
		r.Content.Result.State = true
		set("processed", true)
		set("state", "processed")
		set("actual_processing_time", took)
		for key, value := range o.Result.Details {
			set(key, value)
		}
		if files := o.Outputs(); len(files) > 0 {
			r.Content.Outputs = files
			if first := files[0]; first.Place != "" {
				set("output_file", first.Place)
				set("output_filename", path.Base(first.Place))
			} else {
				set("output_filename", first.Name)
			}
		}
		if took := o.Delivery.Took.Seconds(); took > 0 {
			r.Content.OutputTime = &took
		}
		if len(o.Result.Histograms) > 0 {
			var herr error
			r.Content.Histograms, herr = json.Marshal(o.Result.Histograms)
			err = errors.Join(err, herr)
		}
	} else {
		failure := o.Failure()
		r.Content.State, r.Content.Failure, r.Content.Result.Error = message.StateFailed, failure, &failure.Message
		set("processed", false)
		set("state", "failed")
	}
	r.Content.Result.Result = inner
	body, merr := json.Marshal(r)
	if err = errors.Join(err, merr); err != nil {
		return nil, exitcode.New(exitcode.Internal, "encoding the result: %w", err)
	}
	return body, nil
}

// environment is a variable of the batch system, null when it is not set.
func environment(name string) *string {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return &v
	}
	return nil
}

// publish sends the result with its receipt. A lost connection and a broker that refuses, because a queue is full, are waited
// out: the slot takes no further slice meanwhile. ctx ends the waiting, and the result stays in the journal.
func (p *Pilot) publish(ctx context.Context, m message.Slice, done bool, body []byte) error {
	run, identity := m.Run().String(), m.Content.Identity()
	state := message.StateFailed
	if done {
		state = message.StateDone
	}
	ttl := p.cfg.ResultTTL.Milliseconds()
	headers := []string{
		"persistent", "true", "msg_type", message.TypeSliceResult, "run_id", run, "vo", message.VO,
		"ttl", strconv.FormatInt(ttl, 10), "expires", strconv.FormatInt(time.Now().UnixMilli()+ttl, 10),
	}
	namespace := m.Namespace
	if namespace == "" {
		namespace = p.cfg.Namespace
	}
	if namespace != "" {
		headers = append(headers, "namespace", namespace)
	}
	out := broker.Out{
		Destination: p.to.Results, Body: body, Headers: headers,
		DuplicateID: message.ResultDuplicateID(namespace, run, identity, m.Content.AttemptNumber(), state),
	}
	for n := 0; ; n++ {
		err := p.link.Publish(ctx, out)
		if err == nil {
			return nil
		}
		if exitcode.From(err) != exitcode.BrokerRefused || ctx.Err() != nil {
			return fmt.Errorf("publishing the result of %s: %w", identity, err)
		}
		p.log.WarnContext(ctx, "result held: the broker refuses it", slog.String(logging.KeySlice, identity), logging.Err(err))
		p.rest(ctx, n) // a refusal costs the connection, and with it a delivery of every slice in hand
	}
}
