package idds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/quickjson"
	"tfpilot/internal/whereabouts"
)

// entry is what a message changes in the ledger.
type entry struct {
	apply func(tx ledger.Tx, now time.Time) error
	// slice is the one that the message tells of, if it names one.
	slice ledger.Key
	// seen is what there is to be read on the outside of the message.
	seen message.Envelope
	// tell says in the log what has become of it, once that is stored: a store that is away has what came tried again and again. Nil
	// where there is nothing to be said.
	tell func()
	// reply is sent when it is stored; nil where nobody waits for one, and of no type where another answers.
	reply *message.WorkflowReply
}

// errForeign marks a message of another namespace: its header and its body disagree.
var errForeign = errors.New("message of another namespace")

// errJunk marks what is no message of ours: acknowledged, counted, forgotten.
var errJunk = errors.New("junk")

// read understands a message. Its error is errForeign or errJunk.
func (s *Service) read(ctx context.Context, d *broker.Delivery) (entry, error) {
	e, err := message.Peek(d.Body)
	if err != nil {
		return entry{seen: e}, fmt.Errorf("%w: %w", errJunk, err)
	}
	out, err := s.understand(ctx, d, e)
	out.seen = e
	return out, err
}

// understand understands a message by what stands on its outside.
func (s *Service) understand(ctx context.Context, d *broker.Delivery, e message.Envelope) (entry, error) {
	if e.Sender == s.ledger.Sender && e.MsgType != message.TypeSlice { // on a topic we hear ourselves
		return entry{apply: func(ledger.Tx, time.Time) error { return nil }}, nil
	}
	if e.Namespace != "" && e.Namespace != s.cfg.Namespace {
		return entry{}, fmt.Errorf("%w: %.40q, sent by %.40q", errForeign, e.Namespace, e.Sender)
	}
	switch {
	case e.MsgType == message.TypeSlice && d.Header.Get(message.HeaderOriginalQueue) != "":
		return s.readDead(ctx, d)
	case e.MsgType == message.TypeSlice:
		m, err := s.readSlice(d)
		return entry{
			apply: func(tx ledger.Tx, now time.Time) error { return s.sent(ctx, tx, m, d.Body, now) },
			slice: s.key(m),
		}, err
	case e.MsgType == message.TypeSliceResult:
		m, err := decode[message.SliceResult](d.Body)
		m.Namespace = s.cfg.Namespace
		return entry{
			apply: func(tx ledger.Tx, now time.Time) error { return s.ledger.Result(tx, m, now) },
			slice: ledger.Key{Namespace: s.cfg.Namespace, Run: m.RunID.String(), Identity: m.Identity()},
		}, err
	case e.MsgType == message.TypeRunImminentWorker || e.MsgType == message.TypeRunImminent:
		m, err := decode[message.RunImminentWorker](d.Body)
		m.Namespace = s.cfg.Namespace
		return entry{
			apply: func(tx ledger.Tx, now time.Time) error { return s.ledger.Announce(tx, m, now) },
			tell: func() {
				s.log.InfoContext(ctx, "run announced", slog.String(logging.KeyRun, m.RunID.String()), slog.Int("workers", m.Workers()))
			},
		}, err
	case s.isHere(e):
		return s.readHere(ctx, e), nil
	case message.IsWorkflowTask(e.MsgType):
		return s.readTask(ctx, d, e)
	case message.IsWorkflowReply(e.MsgType):
		return s.readReply(ctx, e), nil
	case e.MsgType == message.TypeStopTransformer:
		m, err := decode[message.StopTransformer](d.Body)
		m.Namespace = s.cfg.Namespace
		return entry{apply: func(tx ledger.Tx, now time.Time) error {
			news, err := s.ledger.Stop(tx, m, now)
			s.tell(ctx, news, ledger.DutyStop, m.Sender, m.MsgType, m.RunID)
			return err
		}}, err
	case message.IsEndRun(e.MsgType):
		m, err := decode[message.EndRun](d.Body)
		m.Namespace = s.cfg.Namespace
		return entry{
			apply: func(tx ledger.Tx, now time.Time) error { return s.ledger.End(tx, m, now) },
			tell:  func() { s.log.InfoContext(ctx, "run ended", slog.String(logging.KeyRun, m.RunID.String())) },
		}, err
	case message.IsTransformer(e.MsgType): // who listens to what was seen knows of it
		return entry{apply: func(ledger.Tx, time.Time) error { return nil }}, nil
	default:
		return entry{}, fmt.Errorf("%w: msg_type %.40q", errJunk, e.MsgType)
	}
}

// sent notes a published slice.
func (s *Service) sent(ctx context.Context, tx ledger.Tx, m message.Slice, body []byte, now time.Time) error {
	news, err := s.ledger.Sent(tx, m, body, now)
	s.tell(ctx, news, ledger.DutyRetry, m.Sender, m.MsgType, m.Run())
	return err
}

// tell logs, when it is news, that another program does what is our duty.
func (s *Service) tell(ctx context.Context, news bool, duty ledger.Duty, sender, msgType string, run message.RunID) {
	if news {
		s.log.WarnContext(ctx, "another program does what is configured to be the duty of this one; see idds doctor",
			slog.String("duty", string(duty)), slog.String("sender", fmt.Sprintf("%.80s", sender)), slog.String("msg_type", msgType),
			slog.String(logging.KeyRun, run.String()))
	}
}

// readDead understands a slice that the broker gave up.
func (s *Service) readDead(ctx context.Context, d *broker.Delivery) (entry, error) {
	m, err := s.readSlice(d)
	k := s.key(m)
	return entry{slice: k, apply: func(tx ledger.Tx, now time.Time) error {
		s.log.WarnContext(ctx, "slice found among the dead letters", slog.String(logging.KeySlice, m.Content.Identity()))
		if err := s.sent(ctx, tx, m, d.Body, now); err != nil { // its copy for us may come later
			return err
		}
		return s.ledger.Lost(tx, k, m.Content.AttemptNumber(), whereabouts.ReasonDead, now)
	}}, err
}

// key is that of a slice.
func (s *Service) key(m message.Slice) ledger.Key {
	return ledger.Key{Namespace: s.cfg.Namespace, Run: m.Run().String(), Identity: m.Content.Identity()}
}

// readSlice understands a slice. An invalid one with identity is known all the same: its pilot will say that it failed.
func (s *Service) readSlice(d *broker.Delivery) (message.Slice, error) {
	m, err := quickjson.Decode[message.Slice](d.Body)
	if err != nil {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	if err := m.Validate(); errors.Is(err, message.ErrNoIdentity) || errors.Is(err, message.ErrLongRun) {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	m.Namespace = s.cfg.Namespace
	return m, nil
}

func decode[T interface{ Validate() error }](body []byte) (T, error) {
	m, err := message.Decode[T](body)
	if err != nil {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	return m, nil
}
