package whereabouts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/whereabouts"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// sent is a slice of run 7 whose latest attempt is under way.
func sent(identity string, attempt int) ledger.Slice {
	return ledger.Slice{
		Key: ledger.Key{Namespace: "n", Run: "7", Identity: identity}, State: ledger.Outstanding, Message: []byte(`{}`),
		Attempts: []document.Attempt{{Attempt: attempt, State: "sent", CreatedAt: noon}},
	}
}

// worker reports at noon, and takes slices of run 7.
func worker(name string, alive bool, change func(*document.WorkerReport)) document.Worker {
	w := document.Worker{Alive: alive, LastSeen: noon}
	w.PilotID, w.Hostname, w.Namespace, w.RunID, w.At, w.LinkProven = name, "host-of-"+name, "n", "7", noon, true
	change(&w.WorkerReport)
	return w
}

func holds(identity string, attempt int) func(*document.WorkerReport) {
	return func(w *document.WorkerReport) {
		w.InHand = []document.SliceInHand{{RunID: "7", Identity: identity, Attempt: attempt, Since: noon.Add(-time.Minute)}}
	}
}

func idleFor(d time.Duration) func(*document.WorkerReport) {
	return func(w *document.WorkerReport) { w.IdleSince = w.At.Add(-d) }
}

func TestASliceIsWhereItWasReportedOrWaitsForWhatIsDue(t *testing.T) {
	t.Parallel()
	waiting := func(change func(*ledger.Slice)) ledger.Slice {
		sl := sent("a", 1)
		sl.State, sl.RetryAt = ledger.Waiting, noon.Add(4*time.Second)
		sl.Attempts[0].State, sl.Attempts[0].Hostname, sl.Attempts[0].Failure = "failed", "n3", &message.Failure{Name: "payload_crashed"}
		change(&sl)
		return sl
	}
	unsent := sent("a", 2)
	unsent.Unsent = 2
	ended := worker("p", true, holds("a", 1))
	ended.Phase = document.WorkerEnded
	for name, c := range map[string]struct {
		slice   ledger.Slice
		workers []document.Worker
		owner   string
		place   document.Place
		words   string
	}{
		"nobody has it":                   {sent("a", 1), nil, "", document.PlaceQueue, "on the queue"},
		"a living worker has it":          {sent("a", 1), []document.Worker{worker("p", true, holds("a", 1))}, "", document.PlaceHeld, "held by p on host-of-p since 11:59:00"},
		"an attempt without a number":     {sent("a", 1), []document.Worker{worker("p", true, holds("a", 0))}, "", document.PlaceHeld, "held by p"},
		"a silent one has it":             {sent("a", 1), []document.Worker{worker("p", false, holds("a", 1))}, "", document.PlaceSilent, "when it fell silent at 12:00:00"},
		"of two the one that lives":       {sent("a", 1), []document.Worker{worker("p", false, holds("a", 1)), worker("q", true, holds("a", 1))}, "", document.PlaceHeld, "held by q"},
		"in either order":                 {sent("a", 1), []document.Worker{worker("q", true, holds("a", 1)), worker("p", false, holds("a", 1))}, "", document.PlaceHeld, "held by q"},
		"one that has ended has nothing":  {sent("a", 1), []document.Worker{ended}, "", document.PlaceQueue, "on the queue"},
		"another attempt is held":         {sent("a", 2), []document.Worker{worker("p", true, holds("a", 1))}, "", document.PlaceQueue, "on the queue"},
		"another namespace":               {sent("a", 1), []document.Worker{worker("p", true, func(w *document.WorkerReport) { holds("a", 1)(w); w.Namespace = "m" })}, "", document.PlaceQueue, "on the queue"},
		"the broker has not confirmed it": {unsent, nil, "", document.PlaceUnsent, "attempt 2 is decided on"},
		"it failed":                       {waiting(func(*ledger.Slice) {}), nil, "", document.PlaceWaiting, "waits for attempt 2 at 12:00:04; attempt 1 failed on n3: payload_crashed"},
		"it died":                         {waiting(func(s *ledger.Slice) { s.Attempts[0].State, s.Attempts[0].Reason = "lost", whereabouts.ReasonDead }), nil, "", document.PlaceDeadLetter, "was found among the dead letters"},
		"nobody held it":                  {waiting(func(s *ledger.Slice) { s.Attempts[0].State, s.Attempts[0].Reason = "lost", whereabouts.ReasonUnheld }), nil, "", document.PlaceWaiting, "was lost: no worker reports to hold it"},
		"another program sends it again":  {waiting(func(*ledger.Slice) {}), nil, ledger.Other, document.PlaceWaiting, "another program has to send"},
		"only results of it have come":    {waiting(func(s *ledger.Slice) { s.Message = nil }), nil, "", document.PlaceWaiting, "its message, without which"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := whereabouts.Records([]ledger.Slice{c.slice}, c.workers, c.owner)
			if len(got) != 1 || got[0].Place != c.place || !strings.Contains(got[0].Where, c.words) || got[0].Identity != "a" {
				t.Errorf("%+v, want %s with %q", got, c.place, c.words)
			}
		})
	}
}

func TestWorkersAreAskedForOnlyWhereAnAttemptIsUnderWay(t *testing.T) {
	t.Parallel()
	done := sent("a", 1)
	done.State = ledger.Done
	if whereabouts.AskWorkers([]ledger.Slice{done}) || !whereabouts.AskWorkers([]ledger.Slice{done, sent("b", 1)}) {
		t.Error("asked for nothing, or not asked")
	}
}

// A backlog is not a loss: an attempt is given up when nobody has held it for the time, and somebody was idle for as long.
func TestAnAttemptIsGivenUpOnlyWhenSomebodyWasIdleForAsLongAsNobodyHeldIt(t *testing.T) {
	t.Parallel()
	const wait = time.Minute
	gone := []whereabouts.Attempt{{Key: ledger.Key{Namespace: "n", Run: "7", Identity: "a"}, Number: 1}}
	unsent := sent("a", 1)
	unsent.Unsent = 1
	for name, c := range map[string]struct {
		slice   ledger.Slice
		workers []document.Worker
		after   time.Duration // from the first look to the second
		want    []whereabouts.Attempt
	}{
		"all idle for long":              {sent("a", 1), []document.Worker{worker("p", true, idleFor(wait))}, wait, gone},
		"a worker of any run is idle":    {sent("a", 1), []document.Worker{worker("p", true, func(w *document.WorkerReport) { idleFor(wait)(w); w.RunID = "" })}, wait, gone},
		"not for long":                   {sent("a", 1), []document.Worker{worker("p", true, idleFor(wait-1))}, wait, nil},
		"not seen missing for long":      {sent("a", 1), []document.Worker{worker("p", true, idleFor(wait))}, wait - 1, nil},
		"all are busy":                   {sent("a", 1), []document.Worker{worker("p", true, holds("b", 1))}, time.Hour, nil},
		"a worker of another run":        {sent("a", 1), []document.Worker{worker("p", true, func(w *document.WorkerReport) { idleFor(wait)(w); w.RunID = "8" })}, time.Hour, nil},
		"on a link that is not proven":   {sent("a", 1), []document.Worker{worker("p", true, func(w *document.WorkerReport) { idleFor(wait)(w); w.LinkProven = false })}, time.Hour, nil},
		"one that is idle is silent":     {sent("a", 1), []document.Worker{worker("p", false, idleFor(wait))}, time.Hour, nil},
		"somebody holds it":              {sent("a", 1), []document.Worker{worker("p", true, idleFor(wait)), worker("q", true, holds("a", 1))}, time.Hour, nil},
		"only a silent worker holds it":  {sent("a", 1), []document.Worker{worker("p", true, idleFor(wait)), worker("q", false, holds("a", 1))}, wait, gone},
		"the broker never confirmed it":  {unsent, []document.Worker{worker("p", true, idleFor(wait))}, time.Hour, nil},
		"there is nobody to take slices": {sent("a", 1), nil, time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := whereabouts.Absences{}, whereabouts.Absences{}
			of := whereabouts.Attend(c.workers)
			if early := of.Unheld([]ledger.Slice{c.slice}, nil, first, wait, noon); early != nil {
				t.Errorf("%+v at the first look", early)
			}
			got := of.Unheld([]ledger.Slice{c.slice}, first, second, wait, noon.Add(c.after))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAHistoryIsInTheOrderOfTimeWhateverItIsMadeOf(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	sl := sent("a", 2)
	sl.Filename, sl.STFAt, sl.CreatedAt = "f.stf", at(0), at(1)
	sl.Attempts = []document.Attempt{
		{Attempt: 1, State: "lost", CreatedAt: at(2), LostAt: at(20), Reason: whereabouts.ReasonUnheld},
		{Attempt: 2, State: "sent", CreatedAt: at(21), Reason: "again"},
	}
	sl.Absorbed = []document.AbsorbedResult{{At: at(30), Attempt: 1, State: "failed"}}
	sl.Message = []byte(`{"content":{"size":5,"adler32":"00000001"}}`)
	workers := []document.Worker{worker("p", true, func(w *document.WorkerReport) {
		w.InHand = []document.SliceInHand{{RunID: "7", Identity: "a", Attempt: 2, Since: at(22), RunningSince: at(23)}, {RunID: "8", Identity: "a", Attempt: 2, Since: at(5)}}
	})}
	told := func(sl *ledger.Slice) string {
		var words []string
		h := whereabouts.History(sl, document.Slice{Identity: "a"}, workers)
		for _, e := range h.Events {
			words = append(words, e.What)
		}
		if h.SizeBytes != 5 || h.Identity != "a" {
			t.Errorf("%+v", h)
		}
		return strings.Join(words, " ")
	}
	if got := told(&sl); got != "stf_created created sent lost sent received started absorbed" {
		t.Error(got)
	}
	// What workers say of one that is final is of before.
	sl.State, sl.FinishedAt = ledger.Done, at(41)
	sl.Attempts[1].State, sl.Attempts[1].ReceivedAt, sl.Attempts[1].FinishedAt = "done", at(24), at(40)
	if got := told(&sl); got != "stf_created created sent lost sent received absorbed finished final" {
		t.Error(got)
	}
}
