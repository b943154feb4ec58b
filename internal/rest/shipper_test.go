package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/rest"
)

// desk takes what programs say of themselves, or answers with a status that is none of success.
type desk struct {
	mu     sync.Mutex
	status int
	asked  int
	lines  []document.LogRecord
	beats  chan document.Component
	base   string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{status: http.StatusOK, beats: make(chan document.Component, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked++
		if d.status != http.StatusOK {
			w.WriteHeader(d.status)
			return
		}
		var batch document.LogBatch
		var beat document.Component
		var err error
		if r.URL.Path == "/v1/logs" {
			err = json.NewDecoder(r.Body).Decode(&batch)
			d.lines = append(d.lines, batch.Records...)
		} else {
			err = json.NewDecoder(r.Body).Decode(&beat)
			d.beats <- beat
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(srv.Close)
	d.base = srv.URL
	return d
}

func (d *desk) answer(status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = status
}

// taken are the lines that came; asked is how often somebody came.
func (d *desk) taken() (lines []document.LogRecord, asked int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines, d.asked
}

func newShipper(d *desk) (*rest.Shipper, *slog.Logger) {
	s := rest.NewShipper(rest.New(rest.Config{Base: d.base, Token: "t"}), document.LogRecord{Component: "p1", Role: "pilot", Namespace: "test"})
	return s, logging.Also(slog.New(slog.DiscardHandler), s)
}

// ship lets a shipper send what waits.
func ship(t *testing.T, s *rest.Shipper) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ended)
}

func TestLinesOfTheLogComeToIDDSWithoutSecrets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, log := newShipper(d)
	log = log.With(slog.String(logging.KeyComponent, "pilot"), slog.String(logging.KeyRun, "100001"))
	log.Debug("not for people")
	log.WithGroup("g").Info("slice done", slog.Int("n", 1), slog.Group("inner", slog.String("token", "hush-hush")))
	log.Warn("called with Bearer hush-hush", slog.String(logging.KeySlice, "s1"), logging.Err(errors.New("password=hush-hush")))
	log.Error("long", slog.String("text", strings.Repeat("ü", 5000)+"\xff"))
	ship(t, s)
	lines, _ := d.taken()
	if len(lines) != 3 {
		t.Fatalf("%+v", lines)
	}
	if l := lines[0]; l.Component != "p1" || l.Role != "pilot" || l.Namespace != "test" || l.Level != "INFO" || l.RunID != "100001" || l.At.IsZero() ||
		l.Message != "slice done" || l.Attrs["g.n"] != "1" || l.Attrs["g.inner.token"] != "***" || len(l.Attrs) != 2 {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Level != "WARN" || l.Slice != "s1" || strings.Contains(fmt.Sprint(l), "hush-hush") {
		t.Errorf("%+v", l)
	}
	if text := lines[2].Attrs["text"]; len(text) > 500 || len(text) < 490 || !utf8.ValidString(text) {
		t.Errorf("%d bytes", len(text))
	}
	ship(t, s)
	if again, asked := d.taken(); len(again) != 3 || asked != 1 {
		t.Errorf("%d lines, asked %d times", len(again), asked)
	}
}

func TestAFloodIsDroppedAndItsErrorsAreNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, log := newShipper(d)
	for i := range 20_000 {
		log.Info("slice done")
		if i%5000 == 0 {
			log.Error("broken")
		}
	}
	ship(t, s)
	lines, _ := d.taken()
	broken := 0
	for _, l := range lines {
		if l.Message == "broken" {
			broken++
		}
	}
	last := lines[len(lines)-1]
	if len(lines) > 601 || broken != 4 || !strings.Contains(last.Message, "did not come") || last.Attrs["lines"] != fmt.Sprint(20_004-len(lines)+1) {
		t.Errorf("%d lines, %d of them errors, the last %+v", len(lines), broken, last)
	}
}

func TestWhatIDDSDoesNotTakeIsSentLaterUnlessItNeverWill(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, log := newShipper(d)
	log.Warn("first")
	d.answer(http.StatusServiceUnavailable)
	ship(t, s)
	for range 1000 {
		log.Warn("more")
	}
	d.answer(http.StatusOK)
	ship(t, s)
	lines, _ := d.taken()
	if len(lines) != 601 || lines[600].Attrs["lines"] != "401" {
		t.Errorf("%d lines, the last %+v", len(lines), lines[len(lines)-1])
	}
	log.Warn("poison")
	d.answer(http.StatusUnprocessableEntity)
	ship(t, s)
	d.answer(http.StatusOK)
	ship(t, s)
	if lines, _ := d.taken(); len(lines) != 602 || lines[601].Attrs["lines"] != "1" {
		t.Errorf("%d lines, the last %+v", len(lines), lines[len(lines)-1])
	}
}

func TestAProgramSaysThatItIsAliveAndThatItHasGone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	p := rest.NewPresence(rest.New(rest.Config{Base: d.base, Token: "t"}), func() document.Component {
		return document.Component{Name: "h", Role: "harvester", State: "PROCESSING"}
	})
	go func() { defer close(done); p.Run(ctx) }()
	if first := <-d.beats; first.State != "PROCESSING" || first.HeartbeatSeconds != 10 {
		t.Errorf("%+v", first)
	}
	cancel()
	<-done
	if last := <-d.beats; last.State != "EXITED" {
		t.Errorf("%+v", last)
	}
}
