package record

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/epictopic"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// take notes what the data side says, in one transaction. All of it is acknowledged: on a topic nobody else misses anything.
func (r *Record) take(ctx context.Context, batch []*broker.Delivery) ([]*broker.Delivery, error) {
	said := make([]spoken, 0, len(batch))
	for _, d := range batch {
		m, err := epictopic.Read(d.Body)
		if err == nil {
			err = m.Validate()
		}
		if m.Namespace != "" && m.Namespace != r.cfg.Namespace {
			continue // others'
		}
		seen := document.SeenMessage{
			Namespace: r.cfg.Namespace, Destination: d.Destination, MsgType: cmp.Or(m.MsgType, message.TypeHeartbeat), Sender: m.From(), RunID: m.Run(),
			Bytes: len(d.Body), Body: d.Body,
		}
		if err != nil {
			seen.Junk = err.Error()
			r.junk.Count(ctx, d.Destination, m.From(), err)
		}
		r.memory.AddMessage(seen)
		r.listenTo(&m, err == nil)
		if err == nil && m.Run() != "" {
			said = append(said, spoken{m, r.when(d, m.At().Time())})
		}
	}
	if len(said) == 0 {
		return batch, nil
	}
	return batch, r.watch.Outlast(ctx, func(ctx context.Context) error {
		return r.store.Update(ctx, func(tx ledger.Tx) error {
			b := booking{tx: tx, namespace: r.cfg.Namespace, detectors: map[string]*document.Detector{}}
			for i := range said {
				if err := b.enter(&said[i]); err != nil {
					return err
				}
			}
			return b.close()
		})
	})
}

// listenTo notes who has spoken.
func (r *Record) listenTo(m *epictopic.Message, understood bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saw = now
	switch {
	case !understood:
	case m.IsHeartbeat():
		r.note(document.Component{
			Namespace: r.cfg.Namespace, Name: m.AgentName, Role: cmp.Or(m.AgentType, "agent"), State: agentState(m), Status: m.Status,
			Details: m.Description, RunID: m.Run(), Hostname: m.Hostname, PID: int(m.PID.Int64()), HeartbeatSeconds: agentBeat.Seconds(),
		}, now)
	case m.From() != "":
		r.sender(r.cfg.Namespace, m.From(), m.Run(), now)
	}
}

// agentState is an agent's state: its status says that it has gone, or how it is.
func agentState(m *epictopic.Message) string {
	if m.Status == stateExited {
		return stateExited
	}
	return cmp.Or(m.OperationalState, statePresent)
}

// spoken is a message with the time at which it was sent.
type spoken struct {
	epictopic.Message

	at time.Time
}

// brokerDoubts is how far a message's own time may be from the broker's: the agents of the production system write local times without
// a zone, and clocks may be wrong.
const brokerDoubts = time.Minute

// when is when a message was sent: as it says, if the broker, which notes when it came, or our own clock does not say otherwise.
func (r *Record) when(d *broker.Delivery, said time.Time) time.Time {
	came := r.cfg.Now().UTC()
	if ms, err := strconv.ParseInt(d.Header.Get("timestamp"), 10, 64); err == nil && ms > 0 {
		if at := time.UnixMilli(ms).UTC(); at.Sub(came) <= message.MostAhead {
			came = at
		}
	}
	if said.Sub(came).Abs() <= brokerDoubts {
		return said.UTC()
	}
	return came
}

// booking enters what was said into the store.
type booking struct {
	tx        ledger.Tx
	namespace string
	detectors map[string]*document.Detector // read once, written once
}

// maxChanges is how many states of a run are kept.
const maxChanges = 100

func (b *booking) enter(s *spoken) error {
	switch s.MsgType {
	case message.TypeRunImminent, message.TypeStartRun, message.TypePauseRun, message.TypeResumeRun, message.TypeEndRun:
		d, err := b.detector(s.Run())
		if err == nil {
			change(d, s)
		}
		return err
	case message.TypeSTFGen, message.TypeSTFReady:
		if s.File() == "" {
			return nil
		}
		return b.stf(s)
	case message.TypeTFFileRegistered:
		return b.tf(s)
	default:
		return nil
	}
}

func (b *booking) detector(run string) (*document.Detector, error) {
	d := b.detectors[run]
	if d == nil {
		d = &document.Detector{}
		if _, err := b.tx.Document(ledger.Detectors, d, b.namespace, run); err != nil {
			return nil, err
		}
		b.detectors[run] = d
	}
	return d, nil
}

func (b *booking) close() error {
	for run, d := range b.detectors {
		if err := b.tx.PutDocument(ledger.Detectors, d, b.namespace, run); err != nil {
			return err
		}
	}
	return nil
}

// usual are the states of messages that say none, as the end of a run does.
var usual = map[string][2]string{
	message.TypeRunImminent: {"beam", "not_ready"}, message.TypeStartRun: {"run", "physics"}, message.TypePauseRun: {"run", "standby"},
	message.TypeResumeRun: {"run", "physics"}, message.TypeEndRun: {"ended", ""},
}

// change notes a state of the detector. One that comes again, or later than its successor, changes nothing.
func change(d *document.Detector, s *spoken) {
	if s.MsgType == message.TypeEndRun {
		for _, n := range []message.Int{s.TotalSTFFiles, s.TotalFiles} {
			if total := int(n.Int64()); !n.IsZero() && d.Announced == nil {
				d.Announced = &total
			}
		}
	}
	state, substate := s.State, s.Substate
	if state == "" {
		state, substate = usual[s.MsgType][0], usual[s.MsgType][1]
	}
	state, substate = short(state), short(substate)
	this := document.DetectorChange{At: s.at, State: state, Substate: substate, MsgType: s.MsgType}
	if n := len(d.Changes); n > 0 {
		again := d.Changes[n-1]
		if again.At = s.at; s.at.Before(d.Changes[n-1].At) || again == this || slices.Contains(d.Changes, this) { // or delivered once more
			return
		}
	}
	if d.State != state || d.Substate != substate || d.Since.IsZero() {
		d.State, d.Substate, d.Since = state, substate, s.at
	}
	d.Changes = append(d.Changes, this)
	d.Changes = d.Changes[max(0, len(d.Changes)-maxChanges):]
}

// short bounds a word of others'.
func short(s string) string { return message.Cut(s, 50) }

// stf notes an STF file: that it was taken, or that the data agent has it.
func (b *booking) stf(s *spoken) error {
	var f ledger.Announced
	known, err := b.tx.Document(ledger.STFFiles, &f, b.namespace, s.Run(), s.File())
	if err != nil {
		return err
	}
	d, err := b.detector(s.Run())
	if err != nil {
		return err
	}
	if !known {
		d.STFs++
	}
	d.STFBytes -= f.SizeBytes
	describe(&f, s)
	d.STFBytes += f.SizeBytes
	if at := f.TakenAt; at.After(d.LastSTFAt) {
		d.LastSTFAt = at
	}
	if d.State == "" && s.State != "" { // idds was not there when the run began
		d.State, d.Substate, d.Since = short(s.State), short(s.Substate), s.at
	}
	return b.tx.PutDocument(ledger.STFFiles, f, b.namespace, s.Run(), s.File())
}

// describe adds what a message says of an STF file to what is known of it.
func describe(f *ledger.Announced, s *spoken) {
	adler, other := s.Sum()
	f.SizeBytes, f.Adler32, f.Checksum = cmp.Or(s.Bytes(), f.SizeBytes), cmp.Or(adler, f.Adler32), cmp.Or(other, f.Checksum)
	f.Sequence, f.Frames = cmp.Or(s.Sequence.Int64(), f.Sequence), cmp.Or(s.TFCount.Int64(), f.Frames)
	f.State, f.Substate = cmp.Or(short(s.State), f.State), cmp.Or(short(s.Substate), f.Substate)
	f.URL = cmp.Or(message.Cut(s.FileURL, 1000), f.URL)
	if !s.Start.Time().IsZero() {
		f.Start = s.Start.Time()
	}
	if !s.End.Time().IsZero() {
		f.End = s.End.Time()
	}
	if s.MsgType == message.TypeSTFReady {
		f.Status, f.ReadyAt, f.ReadyBy = "ready", s.at, name(s.From())
		return
	}
	f.TakenAt, f.TakenBy = s.at, name(s.From())
	f.Status = cmp.Or(f.Status, "taken")
}

// name bounds the name of a sender.
func name(s string) string { return message.Cut(s, 200) }

// tf notes a time-frame file.
func (b *booking) tf(s *spoken) error {
	f := document.TFFile{
		Namespace: b.namespace, RunID: s.Run(), Filename: s.File(), STF: s.STF(), Count: s.TFCount.Int64(), SizeBytes: s.Bytes(),
		Status: short(s.Status), ID: name(string(s.TFFileID)), RegisteredAt: s.at, RegisteredBy: name(s.From()),
	}
	if !s.TFLast.IsZero() { // the first is 0 when it is not said
		first, last := s.TFFirst.Int64(), s.TFLast.Int64()
		f.First, f.Last = &first, &last
	}
	return b.tx.PutDocument(ledger.TFFiles, f, b.namespace, s.Run(), f.STF, f.Filename)
}
