package dashboard_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"tfpilot/idds/dashboard"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/recent"
)

func TestLogLinesAndMessagesAreFoundByWhatTheyAreOf(t *testing.T) {
	t.Parallel()
	memory := recent.New(nil)
	s := newSite(t, func(cfg *dashboard.Config) { cfg.Recent = memory })
	memory.AddLogs(namespace,
		document.LogRecord{Component: "pilot-1", Level: "INFO", Message: "slice done " + nasty, RunID: run, Slice: "s0", Attrs: map[string]string{"took": "1.5s"}},
		document.LogRecord{Component: "harvester", Level: "ERROR", Message: "no batch system"})
	memory.AddLogs("theirs", document.LogRecord{Component: "pilot-9", Level: "INFO", Message: "not for others"})
	memory.AddMessage(document.SeenMessage{Namespace: namespace, Destination: "/topic/panda.slices", MsgType: "slice", Sender: "daq", RunID: run, Slice: "s0", Bytes: 12, Body: []byte(`{"a":"` + "b" + `"}`)})
	memory.AddMessage(document.SeenMessage{Namespace: namespace, Destination: "/topic/panda.results", Sender: nasty, Junk: "no msg_type", Bytes: 3})
	for query, want := range map[string][2]string{
		"":                             {"slice done " + nasty + " took= 1.5s|no batch system|/topic/panda.slices|no msg_type", "not for others"},
		"?level=WARN":                  {"no batch system", "slice done"},
		"?component=pilot-1":           {"slice done", "no batch system"},
		"?run=" + run + "&slice=s0":    {"slice done|/topic/panda.slices", "no batch system|no msg_type"},
		"?junk=1":                      {"no msg_type", "/topic/panda.slices"},
		"?text=BATCH":                  {"no batch system", "slice done"},
		"?component=" + segment(nasty): {"No line is like that.", "slice done"},
	} {
		_, text := s.read("/logs" + query)
		for w := range strings.SplitSeq(want[0], "|") {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q: %s", query, w, text)
			}
		}
		for w := range strings.SplitSeq(want[1], "|") {
			if strings.Contains(text, w) {
				t.Errorf("%s says %q: %s", query, w, text)
			}
		}
	}
}

func TestAWorkerHasItsLastLogLines(t *testing.T) {
	t.Parallel()
	memory := recent.New(nil)
	s := newSite(t, func(cfg *dashboard.Config) { cfg.Recent = memory })
	for i := range 30 {
		memory.AddLogs(namespace, document.LogRecord{Component: "pilot-1", Level: "INFO", Message: fmt.Sprintf("line %02d", i), Slice: "s0"}, document.LogRecord{Component: "pilot-2", Message: "of another"})
	}
	doc, text := s.read("/workers/pilot-1")
	if to := links(doc); !slices.Contains(to, "/slices/find?identity=s0") {
		t.Errorf("the slice of a line is not linked: %v", to)
	}
	if last, first := strings.Index(text, "line 29"), strings.Index(text, "line 10"); last < 0 || first < last || strings.Contains(text, "line 09") || strings.Contains(text, "of another") {
		t.Error(text)
	}
}

func TestComponentsThatAreGoneComeLastAndSecondActorsAreNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *dashboard.Config) {
		cfg.Components = func(_ context.Context, ns string) ([]document.Component, error) {
			return []document.Component{
				{Namespace: ns, Name: "harvester-bnl", Role: "harvester", State: "PROCESSING", Details: nasty},
				{Namespace: ns, Name: "pilot-1", Role: "pilot", State: "PROCESSING", Alive: true, LastSeen: time.Now(), RunID: run},
				{Namespace: ns, Name: "idds/store", Role: "idds", State: "READY", Status: "ERROR", Alive: true, Details: "the disk is full"},
				{Namespace: ns, Name: "daq-1", Role: "daq", State: "READY", Alive: true, LastSeen: time.Now()},
			}, nil
		}
	})
	s.update(func(tx ledger.Tx) error {
		return tx.PutActor(document.Actor{Namespace: namespace, Duty: "stop", Sender: "transceiver", Count: 3})
	})
	doc, text := s.read("/components")
	var rows []string
	for _, row := range elements(doc, "th") {
		if attribute(row, "scope") == "row" {
			rows = append(rows, wordsOf(row))
		}
	}
	if got := strings.Join(rows, " "); got != "daq-1 idds/store pilot-1 harvester-bnl stop" {
		t.Error(got)
	}
	if to := links(doc); !slices.Contains(to, "/logs?component=idds") {
		t.Errorf("the lines of idds are not linked: %v", to)
	}
	for _, want := range []string{"silent was PROCESSING", "transceiver 3", "ERROR the disk is full", nasty} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q: %s", want, text)
		}
	}
}

// lines is the body of the table of log lines.
func (s *site) lines(path string) (body *html.Node, rows []string) {
	s.t.Helper()
	doc, _ := s.read(path)
	for _, b := range elements(doc, "tbody") {
		if attribute(b, "id") != "lines" {
			continue
		}
		for _, row := range elements(b, "tr") {
			rows = append(rows, wordsOf(row))
		}
		return b, rows
	}
	s.t.Fatalf("%s has no lines", path)
	return nil, nil
}

func TestWhoHasTheLogsAlreadyGetsOnlyWhatHasComeSince(t *testing.T) {
	t.Parallel()
	memory := recent.New(nil)
	s := newSite(t, func(cfg *dashboard.Config) { cfg.Recent = memory })
	say := func(texts ...string) {
		for _, text := range texts {
			memory.AddLogs(namespace, document.LogRecord{Component: "daq", Level: "INFO", Message: text})
		}
	}
	since := func(b *html.Node) string { return "/logs?lines_after=" + attribute(b, "data-next") }
	say("one", "two")
	all, _ := s.lines("/logs")
	say("three", "four")
	news, rows := s.lines(since(all))
	if len(rows) != 2 || !strings.Contains(rows[0], "four") || !strings.Contains(rows[1], "three") || attribute(news, "data-after") != attribute(all, "data-next") {
		t.Errorf("follow %s: %q", attribute(news, "data-after"), rows)
	}
	nothing, rows := s.lines(since(news))
	if len(rows) != 0 || attribute(nothing, "data-after") != attribute(news, "data-next") {
		t.Errorf("nothing new is %q", rows)
	}
	for _, who := range []string{"daq", "harvester"} { // more than the page has
		for range 150 {
			memory.AddLogs(namespace, document.LogRecord{Component: who, Level: "INFO", Message: "flood"})
		}
	}
	for why, path := range map[string]string{"too much has come": since(news), "idds was started again": "/logs?lines_after=another.1"} {
		if flood, rows := s.lines(path); len(rows) != 200 || attribute(flood, "data-after") != "" {
			t.Errorf("%s: %d rows that follow %q", why, len(rows), attribute(flood, "data-after"))
		}
	}
	for _, to := range links(all) {
		if strings.Contains(to, "_after") {
			t.Errorf("a link has the cursor: %s", to)
		}
	}
}
