package idds

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/pause"
)

// publishers is how many messages may wait for the broker's receipt at a time.
const publishers = 64

// refusedWait is the pause after the broker refused a message. A refusal costs the connection, and with it a delivery of
// everything that is not acknowledged: repeated at once, it would drive the messages of others to the dead letters.
const refusedWait = 30 * time.Second

// intent is an attempt that has been decided on.
type intent struct {
	key     ledger.Key
	message message.Slice
}

// resend publishes what is due: the intents are committed first, so that a crash in between repeats them with the same
// duplicate ids.
func (s *Service) resend(ctx context.Context) error {
	now := s.now().UTC().Truncate(time.Microsecond)
	due, err := s.store.Due(ctx, s.cfg.Namespace, now)
	if err != nil || len(due) == 0 {
		return err
	}
	var intents []intent
	if err := s.store.Update(ctx, func(tx ledger.Tx) error {
		for i := range due {
			// Each attempt has a created_at of its own, as fine as the wire has it: a peer's failure names nothing else.
			m, err := s.ledger.Resend(tx, due[i].Key, now.Add(time.Duration(i)*time.Microsecond))
			if err != nil {
				return err
			}
			if m != nil {
				intents = append(intents, intent{due[i].Key, *m})
			}
		}
		return nil
	}); err != nil {
		return err
	}
	confirmed := make([]bool, len(intents))
	var refused atomic.Bool
	var g errgroup.Group
	g.SetLimit(publishers)
	for i := range intents {
		g.Go(func() error {
			err := s.publishSlice(ctx, intents[i])
			confirmed[i] = err == nil
			if s.refused(ctx, "slice "+intents[i].key.Identity, err) {
				refused.Store(true)
			}
			return nil // the intent stands
		})
	}
	_ = g.Wait()
	if err := s.store.Update(ctx, func(tx ledger.Tx) error {
		for i, in := range intents {
			if !confirmed[i] {
				continue
			}
			if err := s.ledger.Confirm(tx, in.key, in.message.Content.AttemptNumber()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for i, in := range intents {
		if confirmed[i] {
			s.log.InfoContext(ctx, "slice sent again", slog.String(logging.KeyRun, in.key.Run), slog.String(logging.KeySlice, in.key.Identity),
				slog.Int(logging.KeyAttempt, in.message.Content.AttemptNumber()))
		}
	}
	if refused.Load() {
		return pause.For(ctx, refusedWait)
	}
	return nil
}

// tellWorkers sends stop_transformer for every closed run whose workers were not told yet, also before a restart. Where that is another's
// duty he has a time for it.
func (s *Service) tellWorkers(ctx context.Context) error {
	others := s.cfg.StopSender == ledger.Other
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if r.State != document.RunClosed || r.StopSent || others && s.now().Sub(r.ClosedAt) < s.cfg.TakeOverAfter {
			continue
		}
		if others {
			s.log.WarnContext(ctx, "nobody has told the workers that their run is over: they are told now", slog.String(logging.KeyRun, r.RunID.String()))
		}
		if err := s.publishStop(ctx, r); err != nil {
			if s.refused(ctx, "stop_transformer", err) {
				return pause.For(ctx, refusedWait)
			}
			continue
		}
		if err := s.store.Update(ctx, func(tx ledger.Tx) error { return s.ledger.Stopped(tx, s.cfg.Namespace, r.RunID.String()) }); err != nil {
			return err
		}
	}
	return nil
}

// refused logs why a message was not taken; it is sent again later. It reports whether the broker refused this very message.
func (s *Service) refused(ctx context.Context, what string, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	s.log.WarnContext(ctx, "the broker did not take a message", slog.String("what", what), logging.Err(err))
	return exitcode.From(err).Name == exitcode.BrokerRefused.Name
}

func (s *Service) publishSlice(ctx context.Context, in intent) error {
	body, err := json.Marshal(in.message)
	if err != nil {
		return fmt.Errorf("encoding slice %s: %w", in.key.Identity, err)
	}
	return s.link.Publish(ctx, broker.Out{
		// The topic: a SEND to the literal queue address is dropped by Artemis.
		Destination: message.TopicSlices, Body: body,
		DuplicateID: message.SliceDuplicateID(in.key.Namespace, in.key.Run, in.key.Identity, in.message.Content.AttemptNumber()),
		Headers:     s.headers(message.TypeSlice, in.key.Run),
	})
}

func (s *Service) publishStop(ctx context.Context, r *ledger.Run) error {
	m := message.StopTransformer{
		MsgType: message.TypeStopTransformer, RunID: r.RunID, CreatedAt: message.At(s.now()), Sender: s.ledger.Sender, Namespace: r.Namespace,
		Content: message.StopTransformerContent{RequestedAt: r.EndCreatedAt},
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding stop_transformer: %w", err)
	}
	return s.link.Publish(ctx, broker.Out{
		Destination: message.TopicTransformer, Body: body, Headers: s.headers(message.TypeStopTransformer, r.RunID.String()),
	})
}

func (s *Service) headers(msgType, run string) []string {
	ttl := s.cfg.SliceTTL.Milliseconds()
	return []string{
		"persistent", "true", "msg_type", msgType, "run_id", run, "namespace", s.cfg.Namespace, "vo", message.VO,
		"ttl", strconv.FormatInt(ttl, 10), "expires", strconv.FormatInt(s.cfg.Now().UnixMilli()+ttl, 10),
	}
}
