package recent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/document"
	"tfpilot/internal/recent"
)

// clock is a clock that goes on when it is told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func line(component, level, text string) document.LogRecord {
	return document.LogRecord{Component: component, Level: level, Message: text}
}

func logs(t *testing.T, m *recent.Memory, q recent.Query) (texts []string, next string) {
	t.Helper()
	page, err := m.Logs(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Items {
		texts = append(texts, l.Message)
	}
	return texts, page.Next
}

func TestLinesAreFoundByWhatStandsInThem(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := recent.New(c.now)
	m.AddLogs("a", document.LogRecord{Component: "p1", Role: "pilot", Level: "INFO", Message: "slice taken", RunID: "1", Slice: "s1", Attrs: map[string]string{"host": "Node7"}})
	c.add(time.Minute)
	m.AddLogs("a", document.LogRecord{Component: "p2", Role: "pilot", Level: "warning", Message: "disk is full", RunID: "1"},
		document.LogRecord{Component: "h", Role: "harvester", Level: "CRITICAL", Message: "no batch system", RunID: "2"})
	m.AddLogs("b", line("p1", "INFO", "theirs"))
	for want, q := range map[string]recent.Query{
		"slice taken, disk is full, no batch system": {Namespace: "a"},
		"slice taken":                   {Namespace: "a", Component: "p1"},
		"no batch system":               {Role: "harvester"},
		"disk is full":                  {Run: "1", Level: "WARN"},
		"disk is full, no batch system": {Namespace: "a", Since: c.now()},
		"slice taken, theirs":           {Level: "INFO", Component: "p1"},
		"no batch system, theirs":       {Limit: 2},
		"":                              {Namespace: "c"},
	} {
		if got, _ := logs(t, m, q); strings.Join(got, ", ") != want {
			t.Errorf("%+v: %v, want %s", q, got, want)
		}
	}
	for _, q := range []recent.Query{{Slice: "s1"}, {Text: "TAKEN"}, {Text: "node7"}} {
		if got, _ := logs(t, m, q); len(got) != 1 || got[0] != "slice taken" {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

func TestACursorGoesOnWhereAPageEnded(t *testing.T) {
	t.Parallel()
	m := recent.New(nil)
	_, next := logs(t, m, recent.Query{})
	for i := range 10 {
		m.AddLogs("a", line([]string{"p", "q"}[i%2], "INFO", fmt.Sprint(i)))
	}
	var got []string
	for range 4 {
		var page []string
		page, next = logs(t, m, recent.Query{After: next, Limit: 3})
		got = append(got, page...)
	}
	if strings.Join(got, "") != "0123456789" {
		t.Error(got)
	}
	if more, _ := logs(t, m, recent.Query{After: next}); len(more) != 0 {
		t.Error("what was seen comes again:", more)
	}
	// Of another process, such as idds before a restart: it selects like none.
	if again, _ := logs(t, m, recent.Query{After: "x" + next, Limit: 2}); strings.Join(again, "") != "89" {
		t.Error(again)
	}
	for _, bad := range []string{"x", "1.", ".1", next + "!", "a.b.c"} {
		if _, err := m.Logs(recent.Query{After: bad}); !errors.Is(err, recent.ErrCursor) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAFloodTakesNothingFromOthersAndErrorsStayLonger(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := recent.New(c.now)
	m.AddLogs("a", line("quiet", "INFO", "mine"), line("loud", "ERROR", "what went wrong"))
	taken := 0
	for range 100 { // for a minute and a half
		c.add(time.Second)
		for range 20 {
			taken += m.AddLogs("a", make([]document.LogRecord, 200)...)
			taken += m.AddLogs("a", line("loud", "INFO", strings.Repeat("x", 5000)))
		}
	}
	for _, want := range []recent.Query{{Component: "quiet"}, {Component: "loud", Level: "ERROR"}} {
		if got, _ := logs(t, m, want); len(got) != 1 {
			t.Errorf("%+v is gone: %v", want, got)
		}
	}
	page, err := m.Logs(recent.Query{Limit: 10_000})
	if err != nil || len(page.Items) > 402 || page.Dropped == 0 || taken > 2000*110 {
		t.Errorf("%d lines are kept, %d taken, %d dropped, %v", len(page.Items), taken, page.Dropped, err)
	}
	bytes := 0
	for _, l := range page.Items {
		bytes += len(l.Message)
	}
	if bytes > 4<<20 {
		t.Errorf("%d bytes are kept", bytes)
	}
}

func TestMoreComponentsThanThereIsRoomForTakeThePlaceOfSilentOnes(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := recent.New(c.now)
	for i := range 5000 {
		c.add(time.Second)
		m.AddLogs("a", line(fmt.Sprintf("p%d", i), "INFO", "x"), line("steady", "INFO", "x"))
	}
	if got, _ := logs(t, m, recent.Query{Limit: 100_000}); len(got) > 1200 {
		t.Errorf("%d lines are kept", len(got))
	}
	if got, _ := logs(t, m, recent.Query{Component: "steady", Limit: 1000}); len(got) != 200 {
		t.Errorf("%d of the one that speaks all the time", len(got))
	}
	for i := range 100 {
		m.AddLogs(fmt.Sprintf("ns%d", i), line("p", "INFO", "x"))
	}
	if got, _ := logs(t, m, recent.Query{Component: "p", Limit: 1000}); len(got) > 8 {
		t.Errorf("%d namespaces are kept", len(got))
	}
}

func TestALineHasBoundsAndATimeThatCanBe(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := recent.New(c.now)
	attrs := map[string]string{}
	for i := range 1000 {
		attrs[fmt.Sprint(i)] = strings.Repeat("v", 10_000)
	}
	m.AddLogs("a", document.LogRecord{At: c.now().Add(time.Hour), Level: "<b>", Message: strings.Repeat("ü", 10_000) + "\xff", Attrs: attrs},
		document.LogRecord{At: c.now().Add(-time.Hour), Message: "\xff"})
	page, err := m.Logs(recent.Query{})
	if err != nil {
		t.Fatal(err)
	}
	l := page.Items[1] // in the order of their times
	if !l.At.Equal(c.now()) || l.Level != "INFO" || len(l.Message) > 4010 || len(l.Attrs) > 30 || len(l.Attrs["0"]) > 510 || l.Component == "" {
		t.Errorf("%+v", l)
	}
	if l := page.Items[0]; !l.At.Equal(c.now().Add(-time.Hour)) || l.Message != "\uFFFD" {
		t.Errorf("%+v", l)
	}
}

func TestMessagesAreFoundAndTheBusyKindLeavesTheRareOnes(t *testing.T) {
	t.Parallel()
	m := recent.New(nil)
	see := func(s document.SeenMessage) {
		s.Namespace = "a"
		m.AddMessage(s)
	}
	see(document.SeenMessage{MsgType: "run_imminent", Sender: "daq", RunID: "7", Destination: "/topic/t", Body: json.RawMessage(`{"msg_type":"run_imminent","n":12345678901234567890}`)})
	see(document.SeenMessage{MsgType: "run_imminent", Sender: "daq", Junk: "junk: no run_id", Body: json.RawMessage("<html>\xff</html>")})
	for i := range 10_000 {
		see(document.SeenMessage{MsgType: "slice", RunID: "8", Slice: fmt.Sprint("s", i), Body: make([]byte, 8000)})
		see(document.SeenMessage{MsgType: fmt.Sprint("type", i%1000), Sender: "anybody"})
	}
	for want, q := range map[string]recent.Query{
		"daq daq":  {MsgType: "run_imminent"},
		"daq":      {Junk: true},
		"daq ":     {Run: "7", Destination: "/topic/t", Text: "RUN_IMM"},
		" ":        {Slice: "s9999"},
		"anybody ": {MsgType: "type999", Component: "anybody", Limit: 1},
	} {
		page, err := m.Messages(q)
		var got []string
		for _, s := range page.Items {
			got = append(got, s.Sender)
		}
		if strings.Join(got, " ") != strings.TrimSuffix(want, " ") || err != nil || len(page.Items) == 0 {
			t.Errorf("%+v: %q, want %q, %v", q, got, want, err)
		}
	}
	page, err := m.Messages(recent.Query{Component: "daq"})
	if err != nil || len(page.Items) != 2 {
		t.Fatal(page, err)
	}
	if got := string(page.Items[0].Body); got != `{"msg_type":"run_imminent","n":12345678901234567890}` {
		t.Error(got)
	}
	if got := string(page.Items[1].Body); got != `"\u003chtml\u003e`+"\uFFFD"+`\u003c/html\u003e"` {
		t.Error(got)
	}
	if all, err := m.Messages(recent.Query{Limit: 1 << 20}); err != nil || len(all.Items) > 2000*40 {
		t.Errorf("%d messages are kept, %v", len(all.Items), err)
	}
}

func TestNoSecretIsHandedOut(t *testing.T) {
	t.Parallel()
	const hush = "s3cr3t V4lue"
	m := recent.New(nil)
	m.AddLogs("a", document.LogRecord{Message: "called with Bearer abcdefg.s3cr3t", Attrs: map[string]string{"broker_password": hush, "url": "https://u:s3cr3t@h/"}})
	m.AddMessage(document.SeenMessage{Namespace: "a", MsgType: "x", Body: json.RawMessage(
		`{"msg_type":"x","brokers":[{"password":"` + hush + `","token":170417017,"passcode":["` + hush + `"]}],"uri":"ejfat://u:s3cr3t@h/lb","run":{"secret":{"token":"` + hush + `"}}}`)})
	m.AddMessage(document.SeenMessage{Namespace: "a", Junk: "password=s3cr3t", Body: json.RawMessage("password=s3cr3t")})
	l, lerr := m.Logs(recent.Query{})
	s, serr := m.Messages(recent.Query{})
	text, err := json.Marshal([]any{l, s})
	if err = errors.Join(err, lerr, serr); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cr3t") || strings.Contains(string(text), "170417017") {
		t.Errorf("a secret is handed out: %s", text)
	}
	for _, text := range []string{"s3cr3t", "S3cr3t v", "170417017"} {
		lines, lerr := m.Logs(recent.Query{Text: text})
		messages, merr := m.Messages(recent.Query{Text: text})
		if err := errors.Join(lerr, merr); len(lines.Items)+len(messages.Items) > 0 || err != nil {
			t.Errorf("%q is found: %+v, %+v, %v", text, lines.Items, messages.Items, err)
		}
	}
	if found, err := m.Messages(recent.Query{Text: "MSG_TYPE"}); len(found.Items) != 1 || err != nil {
		t.Errorf("what is no secret is not found: %+v, %v", found.Items, err)
	}
	again, err := m.Messages(recent.Query{})
	if diff := cmp.Diff(s, again); diff != "" || err != nil {
		t.Error("reading changes what is kept:", diff, err)
	}
}

func TestManyMayReadAndWriteAtOnce(t *testing.T) {
	t.Parallel()
	m := recent.New(nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 500 {
				m.AddMessage(document.SeenMessage{Namespace: fmt.Sprint("ns", i), MsgType: "slice", Body: json.RawMessage(`{"a":1}`)})
				m.AddLogs(fmt.Sprint("ns", i), line("p", "INFO", "x"))
				if n%50 == 0 {
					if _, err := m.Messages(recent.Query{Text: "a"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if page, err := m.Messages(recent.Query{Limit: 1 << 20}); err != nil || len(page.Items) != 4000 {
		t.Errorf("%d messages, %v", len(page.Items), err)
	}
}

func BenchmarkAMessageIsKept(b *testing.B) {
	m := recent.New(nil)
	body := json.RawMessage(strings.Repeat("x", 900))
	for b.Loop() {
		m.AddMessage(document.SeenMessage{Namespace: "a", MsgType: "slice_result", RunID: "100001", Slice: "2837c040-d0c9-4236-a645-4d838711c5e4", Body: body})
	}
}
