package idds

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

// Task does what somebody asks for by a workflow task.
func (s *Service) Task(ctx context.Context, m message.WorkflowTask, by workflow.Asker) (a workflow.Answer, err error) {
	m.Namespace = s.cfg.Namespace
	err = s.store.Update(ctx, func(tx ledger.Tx) (err error) {
		a, err = s.tasks.Do(tx, m, by, s.now())
		return err
	})
	if err == nil {
		s.sayTask(ctx, m, a, by)
	}
	return a, err
}

// Leave keeps messages for whoever works on a request.
func (s *Service) Leave(ctx context.Context, messages []ledger.TaskMessage, by workflow.Asker) (f *workflow.Fault, err error) {
	for i := range messages {
		messages[i].Namespace = s.cfg.Namespace
	}
	var a workflow.Answer
	err = s.store.Update(ctx, func(tx ledger.Tx) (err error) {
		a, err = s.tasks.Leave(tx, messages, by, s.now())
		return err
	})
	if err == nil {
		s.logChanges(ctx, a)
	}
	return a.Fault, err
}

// logChanges says in the log what stands in the audit.
func (s *Service) logChanges(ctx context.Context, a workflow.Answer) {
	for _, line := range a.Changes {
		line.Log(ctx, s.log)
	}
}

// sayTask logs what was changed, and whether it was another's duty to ask for it.
func (s *Service) sayTask(ctx context.Context, m message.WorkflowTask, a workflow.Answer, by workflow.Asker) {
	s.logChanges(ctx, a)
	s.tell(ctx, a.News, ledger.DutyDemand, by.Name, m.MsgType, m.Run())
}

// readTask understands what the production system asks for, which is answered when that is our duty: another iDDS would be the one to
// answer else.
func (s *Service) readTask(ctx context.Context, d *broker.Delivery, e message.Envelope) (entry, error) {
	m, err := message.Decode[message.WorkflowTask](d.Body)
	var reply message.WorkflowReply
	if err != nil {
		junk := fmt.Errorf("%w: %w", errJunk, err)
		if s.cfg.DemandFrom != ledger.WorkflowTask {
			return entry{}, junk
		}
		s.junk.Count(ctx, d.Destination, e.Sender, junk)
		m.MsgType, m.RunID = e.MsgType, e.RunID
		reply = workflow.Reply(m, workflow.Answer{Fault: &workflow.Fault{Kind: workflow.BadRequest, Text: fmt.Sprintf("%.500s", err)}})
		return entry{apply: func(ledger.Tx, time.Time) error { return nil }, reply: &reply}, nil
	}
	m.Namespace = s.cfg.Namespace
	by := workflow.Asker{Name: m.Sender, From: message.TopicWorkers}
	if by.Name == "" {
		by.Name = "(no sender)"
	}
	var a workflow.Answer
	apply := func(tx ledger.Tx, now time.Time) (err error) {
		if a, err = s.tasks.Do(tx, m, by, now); err == nil && s.cfg.DemandFrom == ledger.WorkflowTask {
			reply = workflow.Reply(m, a)
		}
		return err
	}
	return entry{apply: apply, tell: func() { s.sayTask(ctx, m, a, by) }, reply: &reply}, nil
}

// readReply understands the answer of an iDDS that is not this one.
func (s *Service) readReply(ctx context.Context, e message.Envelope) entry {
	return entry{apply: func(tx ledger.Tx, now time.Time) error {
		if s.cfg.DemandFrom != ledger.WorkflowTask { // his duty
			return nil
		}
		news, err := ledger.Second(tx, s.cfg.Namespace, ledger.DutyAnswer, e.Sender, e.RunID.String(), now)
		s.tell(ctx, news, ledger.DutyAnswer, e.Sender, e.MsgType, e.RunID)
		return err
	}}
}

// answer sends the replies to what is committed. They are sent before the requests are acknowledged: of a request whose reply nobody
// has got, the broker sends another copy, which changes nothing and is answered again.
func (s *Service) answer(ctx context.Context, entries []entry) error {
	for i := range entries {
		reply := entries[i].reply
		if reply == nil || reply.MsgType == "" {
			continue
		}
		reply.CreatedAt, reply.Sender, reply.Namespace = message.At(s.now()), s.ledger.Sender, s.cfg.Namespace
		body, err := json.Marshal(reply)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", reply.MsgType, err)
		}
		err = s.link.Publish(ctx, broker.Out{Destination: message.TopicWorkers, Body: body, Headers: s.headers(reply.MsgType, reply.RunID.String())})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.refused(ctx, reply.MsgType, err)
	}
	return nil
}

// takeOver does what another program has as its duty and does not do: a run that was announced gets its workers all the same.
func (s *Service) takeOver(ctx context.Context) error {
	if s.cfg.DemandFrom != ledger.WorkflowTask {
		return nil
	}
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if !workflow.Waits(r, s.cfg.TakeOverAfter, s.now()) {
			continue
		}
		var did bool
		if err := s.store.Update(ctx, func(tx ledger.Tx) (err error) {
			did, err = s.tasks.TakeOver(tx, r.Namespace, r.RunID.String(), s.cfg.TakeOverAfter, s.now())
			return err
		}); err != nil {
			return err
		}
		if did {
			s.log.WarnContext(ctx, "nobody has made a workflow task of a run: it gets the workers that its announcement asked for",
				slog.String(logging.KeyRun, r.RunID.String()), slog.Int("workers", r.Announced), slog.Duration("waited", s.cfg.TakeOverAfter))
		}
	}
	return nil
}
