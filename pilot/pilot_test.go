package pilot_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/payload"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
	"tfpilot/wrapper"
)

func TestEverySliceHasOneResultThatCopiesIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 20
	for i := range n {
		r.publish(slice(number(i), 1))
	}
	r.pilot(pilot.Config{Run: run, Slots: 3}, nil, nil)
	seen := map[string]bool{}
	for range n {
		m := r.next()
		seen[m.Identity()] = true
		if m.Content.State != message.StateDone || m.Content.PilotID == "" || m.RunID.String() != run || m.Namespace != namespace {
			t.Errorf("%+v", m)
		}
		if got := string(m.Content.Result.Result.Value("tf_filename")); got != `"f.tf"` {
			t.Errorf("tf_filename is %s in the copy", got)
		}
	}
	if len(seen) != n {
		t.Errorf("%d slices have results, want %d", len(seen), n)
	}
	await(t, "the acknowledgements", func() bool { q := r.queue(); return q.Acked == n && q.Depth == 0 })
}

func TestAResultSaysWhereItsOutputsAreKept(t *testing.T) {
	t.Parallel()
	made := payload.Result{Outputs: []payload.Output{{Name: "sub/tracks.root", SizeBytes: 9, Adler32: "11e60398"}}}
	place := message.OutputFile{Name: "sub/tracks.root", Place: "/d/7/x.tracks.root", SizeBytes: 8, Adler32: "0badcafe", Kept: true}
	for name, c := range map[string]struct {
		delivery       wrapper.Delivery
		want           message.OutputFile
		file, filename string
		took           time.Duration
	}{
		"kept": {wrapper.Delivery{Files: []message.OutputFile{place}, Took: 2 * time.Second}, place, `"/d/7/x.tracks.root"`, `"x.tracks.root"`, 2 * time.Second},
		"gone": {wrapper.Delivery{}, message.OutputFile{Name: "sub/tracks.root", SizeBytes: 9, Adler32: "11e60398"}, "", `"sub/tracks.root"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.publish(slice("a", 1))
			r.pilot(pilot.Config{Run: run}, &runner{result: made, delivery: c.delivery}, nil)
			m := r.next()
			inner := m.Content.Result.Result
			if len(m.Content.Outputs) != 1 || m.Content.Outputs[0] != c.want || string(inner.Value("output_file")) != c.file || string(inner.Value("output_filename")) != c.filename {
				t.Errorf("%+v, %s", m.Content, inner)
			}
			if took := m.Content.OutputTime; (took == nil) != (c.took == 0) || took != nil && *took != c.took.Seconds() {
				t.Errorf("%v", took)
			}
		})
	}
}

func TestASlotHoldsOneSliceAndLeavesTheOthersToOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 5 {
		r.publish(slice(number(i), 1))
	}
	idds := &reporter{}
	g := make(gate)
	defer close(g)
	submitted := time.Date(2026, 7, 1, 12, 0, 0, 5000, time.UTC)
	r.pilot(pilot.Config{Run: run, Slots: 2, SubmittedAt: submitted.Format(time.RFC3339Nano)}, &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}, idds)
	await(t, "a report of two slices in hand", func() bool { return len(idds.last().InHand) == 2 })
	if w := idds.last(); !w.SubmittedAt.Equal(submitted) || w.ReadyAt.Before(w.StartedAt) || w.FirstSliceAt.IsZero() || w.AnyRun {
		t.Errorf("submitted %s, ready %s, first slice %s, for any run %v", w.SubmittedAt, w.ReadyAt, w.FirstSliceAt, w.AnyRun)
	}
	if depth := r.queue().Depth; depth != 3 {
		t.Errorf("%d slices wait in the queue, want 3", depth)
	}
	if w := idds.last(); w.Phase != document.WorkerRunning || !w.LinkProven || !w.IdleSince.IsZero() || w.RunID != run {
		t.Errorf("%+v", w)
	}
}

func TestAFailedSliceHasAResultThatSaysWhoseFaultItWas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 2))
	r.pilot(pilot.Config{Run: run}, &runner{do: func(context.Context, message.Slice) error {
		return exitcode.New(exitcode.PayloadPermanent, "cannot be")
	}}, nil)
	m := r.next()
	want := message.Failure{Code: 11, Name: "payload_permanent", Class: "payload", Message: "cannot be"}
	if p := m.Content.Payload; p == nil || *p != (message.PayloadIdentity{Name: "function", Version: "3"}) {
		t.Errorf("made by %+v", p)
	}
	if m.Content.State != message.StateFailed || m.Content.Failure == nil || *m.Content.Failure != want || m.Content.Attempt.Int64() != 2 {
		t.Errorf("%+v", m.Content)
	}
	if c := m.Content; c.ReceivedAt.IsZero() || c.ReceivedAt.Time().After(c.ProcessingStartAt.Time()) || c.ProcessedAt.Time().After(m.CreatedAt.Time()) {
		t.Errorf("received %s, started %s, processed %s, published %s", c.ReceivedAt.Text(), c.ProcessingStartAt.Text(), c.ProcessedAt.Text(), m.CreatedAt.Text())
	}
	if o := m.Content.Result; o.State || string(o.Result.Value("processed")) != "false" || o.Error == nil || *o.Error != "cannot be" {
		t.Errorf("%+v", o)
	}
}

func TestALineOfTheLogSaysOfWhichSliceAndPilotItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 2))
	r.pilot(pilot.Config{Run: run, ID: "pilot-7"}, nil, nil)
	r.next()
	const want = `"pilot_id":"pilot-7","slot":0,"run_id":"` + run + `","slice_id":"a","attempt":2,`
	await(t, "the line", func() bool { return strings.Contains(r.log.String(), `"msg":"slice done","component":"pilot",`+want) })
}

func TestNoResultTellsASecretThatAPayloadHasPrinted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	r.pilot(pilot.Config{Run: run}, &runner{do: func(context.Context, message.Slice) error {
		return exitcode.New(exitcode.PayloadFailed, "curl: (22) https://me:s3cret@store.example.org/f?authz=Bearer%%20s3cret: 403")
	}}, nil)
	c := r.next().Content
	if c.Failure == nil || c.Result.Error == nil || strings.Contains(c.Failure.Message+*c.Result.Error, "s3cret") || !strings.Contains(*c.Result.Error, "store.example.org") {
		t.Errorf("%+v, %+v", c.Failure, c.Result)
	}
}

func TestAResultSaysWhatItsPayloadTook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	r.publish(slice("b", 1))
	took := payload.Usage{
		Wall: 2 * time.Second, User: time.Second, System: time.Second / 4, PeakBytes: 5, ReadBytes: 7, WrittenBytes: 9, Processes: 3,
	}
	r.pilot(pilot.Config{Run: run}, &runner{usage: func(s message.Slice) (u payload.Usage) {
		if s.Content.Identity() == "a" {
			u = took
		}
		return u
	}}, nil)
	want := message.Usage{Cores: 4, WallSeconds: 2, UserSeconds: 1, SystemSeconds: 0.25, PeakBytes: 5, ReadBytes: 7, WrittenBytes: 9, Processes: 3}
	for range 2 {
		m := r.next()
		if u := m.Content.Usage; (m.Identity() == "a") != (u != nil) || u != nil && *u != want { // a timer has nothing to tell
			t.Errorf("%s: %+v", m.Identity(), u)
		}
	}
}

func TestJunkIsGoneWithoutAResult(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, junk := range []string{`{"msg_type":"other","run_id":"7","sender":"producer-x"}`, "", "{", `{"msg_type":"slice"}`} {
		r.publishBody([]byte(junk), run)
	}
	r.publish(slice("good", 1))
	idds := &reporter{}
	r.pilot(pilot.Config{Run: run}, nil, idds)
	if m := r.next(); m.Identity() != "good" {
		t.Errorf("result of %s", m.Identity())
	}
	await(t, "a report of the junk", func() bool { return idds.last().Totals.Junk == 4 && idds.last().Totals.Done == 1 })
	if said := r.log.String(); strings.Count(said, "junk was acknowledged") != 1 || !strings.Contains(said, "producer-x") {
		t.Errorf("want one line with the sender in %s", said)
	}
}

// The header, by which it was selected, says that it is ours: nobody else would take it, and it must not stop those behind it.
func TestAMessageOfOthersIsLeftAloneAndStopsNothing(t *testing.T) {
	t.Parallel()
	namespace, number := slice("theirs", 1), slice("theirs", 1)
	namespace.Namespace, namespace.Sender = "other", "producer-x"
	number.RunID, number.Content.RunID, number.Sender = message.Run("8"), message.Run("8"), "producer-x"
	for name, foreign := range map[string]message.Slice{"another namespace": namespace, "another run": number} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			body, err := json.Marshal(foreign)
			must(t, err)
			r.publishBody(body, run)
			for i := range 3 {
				r.publish(slice(fmt.Sprint(i), 1))
			}
			w := &runner{}
			p := r.pilot(pilot.Config{Run: run, SiteHold: time.Hour}, w, nil)
			for range 3 {
				r.next()
			}
			await(t, "the acknowledgements", func() bool { return r.queue().Acked == 3 })
			connections := r.cut() // what is kept comes again on the next connection
			await(t, "a new connection", func() bool { return r.connections() > connections })
			r.publish(slice("after", 1))
			r.next()
			p.stop()
			if err := p.wait(); exitcode.From(err) != exitcode.Interrupted {
				t.Errorf("got %v", err)
			}
			if q := r.queue(); q.Depth != 1 || q.Acked != 4 || q.Consumers != 0 || w.count("theirs") != 0 {
				t.Errorf("%+v, ran %d times", q, w.count("theirs"))
			}
			if !strings.Contains(r.log.String(), "producer-x") {
				t.Errorf("its producer is not named in %s", r.log.String())
			}
		})
	}
}

func TestAPilotWithoutARunAdoptsThatOfItsFirstSlice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := slice("other run", 1)
	other.RunID, other.Content.RunID = message.Run("8"), message.Run("8")
	r.publish(slice("first", 1))
	idds := &reporter{}
	w := &runner{}
	r.pilot(pilot.Config{Slots: 2}, w, idds)
	r.next()
	r.publish(other)
	r.publish(slice("second", 1))
	if m := r.next(); m.Identity() != "second" {
		t.Errorf("result of %s", m.Identity())
	}
	await(t, "the other run's slice in the queue", func() bool { q := r.queue(); return q.Depth == 1 && q.Acked == 2 })
	await(t, "a report of the adopted run", func() bool { return idds.last().RunID == run })
	if n := w.count("other run"); n != 0 {
		t.Errorf("the other run's slice was worked on %d times", n)
	}
}

func TestASignalLetsAPayloadFinishWithinItsTime(t *testing.T) {
	t.Parallel()
	r, g := newRig(t), make(gate)
	r.publish(slice("a", 1))
	r.publish(slice("b", 1))
	w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
	p := r.pilot(pilot.Config{Run: run, DrainTime: time.Minute}, w, nil)
	await(t, "the payload", func() bool { return w.count("a") == 1 })
	p.stop()
	close(g)
	if err := p.wait(); exitcode.From(err) != exitcode.Interrupted {
		t.Errorf("got %v", err)
	}
	if m := r.next(); m.Content.State != message.StateDone {
		t.Errorf("%+v", m)
	}
	if q := r.queue(); q.Acked != 1 || q.Depth != 1 || q.Consumers != 0 {
		t.Errorf("%+v, want one acknowledged and the other waiting", q)
	}
}

func TestASignalGivesBackUncountedWhatCannotFinish(t *testing.T) {
	t.Parallel()
	r, g := newRig(t), make(gate)
	defer close(g)
	r.publish(slice("a", 1))
	w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
	p := r.pilot(pilot.Config{Run: run, DrainTime: time.Millisecond}, w, nil)
	await(t, "the payload", func() bool { return w.count("a") == 1 })
	p.stop()
	if err := p.wait(); exitcode.From(err) != exitcode.Interrupted {
		t.Errorf("got %v", err)
	}
	d, err := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1}).Next(soon(t))
	must(t, err)
	if d.Header.Get("redelivered") != "false" {
		t.Error("it counts as a failed delivery")
	}
}

func TestAPayloadThatLostItsConnectionIsNotRunTwice(t *testing.T) {
	t.Parallel()
	r, g := newRig(t), make(gate)
	r.publish(slice("a", 1))
	w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
	const slots = 8 // any of them may get the redelivery
	r.pilot(pilot.Config{Run: run, Slots: slots}, w, nil)
	await(t, "the payload", func() bool { return w.count("a") == 1 })
	for range 3 {
		connections := r.cut()
		await(t, "a new connection", func() bool { return r.connections() > connections })
		await(t, "all slots back", func() bool { q := r.queue(); return q.Consumers == slots && q.Depth == 0 })
	}
	close(g)
	r.next()
	await(t, "the acknowledgement", func() bool { q := r.queue(); return q.Acked == 1 && q.Depth == 0 })
	if n := w.count("a"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestARedeliveryAfterAKillIsAnsweredFromTheJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// What a pilot killed between RECEIPT and ACK leaves: its result in the journal, the slice in the queue.
	dead, err := journal.Open(r.journal, false, logging.Discard())
	must(t, err)
	const body = `{"msg_type":"slice_result","run_id":"7","namespace":"test","content":{"state":"done","req_id":"a","pilot_id":"dead"}}`
	must(t, dead.Outcome(pilot.JournalKey{Run: run, Identity: "a", Attempt: 1}, true, []byte(body)))
	must(t, dead.Close()) // frees the lock and leaves the file, as a kill does
	r.publish(slice("a", 1))
	w := &runner{}
	r.pilot(pilot.Config{Run: run}, w, nil)
	if m := r.next(); m.Content.PilotID != "dead" || w.count("a") != 0 {
		t.Errorf("%+v, ran %d times", m.Content, w.count("a"))
	}
	await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
}

func TestAResultThatTheBrokerRefusesIsHeldUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, t.TempDir(), stompd.Config{QueueLimit: 2, FanOut: map[string][]string{
		message.TopicSlices: {message.QueueSlicesWorkers}, message.TopicResults: {message.QueueResultsFast, message.QueueResultsIDDS},
	}})
	r.pilot(pilot.Config{Run: run, SiteHold: 100 * time.Millisecond}, nil, nil)
	copies := func() (depth int) { // nobody takes idds' copies
		for _, q := range r.broker.Stats() {
			if q.Name == message.QueueResultsIDDS {
				depth = q.Depth
			}
		}
		return depth
	}
	for i := range 2 {
		r.publish(slice(number(i), 1))
		r.next()
	}
	await(t, "a full queue", func() bool { return copies() == 2 })
	w := r.queue().Acked
	r.publish(slice("third", 1))
	await(t, "the slice in hand", func() bool { q := r.queue(); return q.Depth == 0 })
	idds := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueResultsIDDS, Ack: "auto"})
	for range 3 {
		if _, err := idds.Next(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if m := r.next(); m.Identity() != "third" {
		t.Errorf("result of %s", m.Identity())
	}
	await(t, "the acknowledgement", func() bool { return r.queue().Acked > w })
}

func TestNothingIsAcknowledgedBeforeItsResultIsTheBrokers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	r.pilot(pilot.Config{Run: run}, nil, nil)
	r.next()
	await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
	said := r.tape.String()
	send := regexp.MustCompile(`(?m)^SEND$(?:\n.+)*?\nreceipt:(\d+)$`).FindStringSubmatch(said)
	ack := regexp.MustCompile(`(?m)^ACK$`).FindStringIndex(said)
	if send == nil || ack == nil {
		t.Fatalf("no SEND or no ACK in\n%s", said)
	}
	receipt := regexp.MustCompile(`(?m)^receipt-id:` + send[1] + `$`).FindStringIndex(said)
	if receipt == nil || receipt[0] > ack[0] {
		t.Errorf("acknowledged before the receipt:\n%s", said)
	}
}
