package top_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/idds/top"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// idds hands over what the test gives it.
type idds struct {
	events chan document.Event
	errs   chan error // ends a stream
	seen   chan string
}

func newIDDS() *idds {
	return &idds{events: make(chan document.Event), errs: make(chan error), seen: make(chan string, 100)}
}

func (i *idds) Follow(ctx context.Context, seen string, each func(document.Event) error) error {
	i.seen <- seen
	for {
		select {
		case e := <-i.events:
			if err := each(e); err != nil {
				return err
			}
		case err := <-i.errs:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (i *idds) Workers(context.Context) ([]document.Worker, error) {
	return []document.Worker{{WorkerReport: document.WorkerReport{PilotID: "pilot-node7"}}}, nil
}

func (i *idds) send(t *testing.T, b *document.Board, id string) {
	t.Helper()
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	i.events <- document.Event{Name: document.EventBoard, ID: id, Data: data}
}

// screen is a terminal that somebody looks at.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
	new chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.new <- struct{}{}:
	default:
	}
	return s.buf.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// until waits until it shows something that it did not before.
func (s *screen) until(t *testing.T, what string) {
	t.Helper()
	limit := time.After(testkit.Patience)
	for !strings.Contains(s.text(), what) {
		select {
		case <-s.new:
		case <-limit:
			t.Fatalf("no %q in %q", what, s.text())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Reset()
}

// session is `idds top` on a terminal.
type session struct {
	*idds
	*screen

	keys  *io.PipeWriter
	ended chan error
}

func begin(t *testing.T, ctx context.Context, cfg top.Config) *session { //nolint:revive // the test is what it is of
	t.Helper()
	in, keys := io.Pipe()
	s := &session{newIDDS(), &screen{new: make(chan struct{}, 1)}, keys, make(chan error, 1)}
	cfg.In, cfg.Out, cfg.Width, cfg.Height = in, s.screen, 80, 24
	go func() {
		s.ended <- top.Run(ctx, s.idds, cfg)
		_ = in.Close()
	}()
	t.Cleanup(func() { _ = keys.Close() })
	return s
}

func (s *session) press(t *testing.T, key string) {
	t.Helper()
	if _, err := s.keys.Write([]byte(key)); err != nil {
		t.Fatal(err)
	}
}

func (s *session) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(testkit.Patience):
		t.Fatal("does not end")
		return nil
	}
}

func TestKeysChooseWhatIsShown(t *testing.T) {
	t.Parallel()
	s := begin(t, t.Context(), top.Config{Screen: true})
	s.until(t, "waiting for idds")
	s.send(t, board(3), "1")
	s.until(t, "> 100001")
	s.press(t, "\x1b[B") // arrow down
	s.until(t, "> ")     // what has not changed is not drawn again
	s.press(t, "f")
	s.until(t, "reason_9")
	s.press(t, "w")
	s.until(t, "pilot-node7")
	s.press(t, "?")
	s.until(t, "choose a run")
	s.press(t, "q")
	if err := s.end(t); err != nil {
		t.Error(err)
	}
	if text := s.text(); !strings.Contains(text, "\x1b[?1049l") || !strings.Contains(text, "\x1b[?25h") {
		t.Errorf("the terminal is not as it was: %q", text)
	}
}

func TestCtrlCQuitsAndASignalIsAnInterruption(t *testing.T) {
	t.Parallel()
	s := begin(t, t.Context(), top.Config{Screen: true})
	s.until(t, "waiting for idds")
	s.press(t, "\x03")
	if err := s.end(t); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = begin(t, ctx, top.Config{Screen: true})
	s.until(t, "waiting for idds")
	cancel()
	if err := s.end(t); exitcode.From(err) != exitcode.Interrupted || !strings.Contains(s.text(), "\x1b[?1049l") {
		t.Errorf("%v, %q", err, s.text())
	}
}

func TestTopComesBackByItselfAndSaysThatIddsIsAway(t *testing.T) {
	t.Parallel()
	s := begin(t, t.Context(), top.Config{Screen: true})
	s.send(t, board(1), "1")
	s.until(t, "> 100001")
	s.errs <- exitcode.New(exitcode.NoService, "connection refused")
	s.until(t, "has not answered")
	s.send(t, board(1), "2")
	s.until(t, "fell silent at farm")
	if first, again := <-s.seen, <-s.seen; first != "" || again != "1" {
		t.Errorf("asked with %q, then with %q", first, again)
	}
	s.press(t, "q")
	if err := s.end(t); err != nil {
		t.Error(err)
	}
}

func TestARefusalIsSaidWhenTheTerminalIsAsItWas(t *testing.T) {
	t.Parallel()
	for _, cfg := range []top.Config{{Screen: true}, {}} {
		s := begin(t, t.Context(), cfg)
		s.errs <- exitcode.New(exitcode.NoCredential, "idds does not take the token")
		if err := s.end(t); exitcode.From(err) != exitcode.NoCredential {
			t.Error(err)
		}
		s = begin(t, t.Context(), cfg)
		s.events <- document.Event{Name: document.EventBye, Data: []byte(`{"reason":"the token is no longer valid","back":false}`)}
		if err := s.end(t); exitcode.From(err) != exitcode.NoCredential || !strings.Contains(err.Error(), "no longer valid") {
			t.Error(err)
		}
	}
}

func TestWhereThereIsNoTerminalLinesAreWritten(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := begin(t, ctx, top.Config{})
	s.send(t, board(1), "1")
	s.until(t, "03:04:05  1 worker fell silent at farm; results of run 100001 come late: 5 % take longer than 41 s; 10 slices of run 100001 failed for good; run 100001 open: STFs 4, slices 100, done 51, waiting 30, running 9, failed 10, to result 1.5 s, p95 41 s, 4.2/s; workers 3, slots busy 9 of 12\n")
	s.errs <- errors.New("connection refused")
	s.until(t, "does not answer, and is tried again: connection refused\n")
	s.send(t, board(0), "2")
	s.until(t, "no run yet")
	cancel()
	if err := s.end(t); exitcode.From(err) != exitcode.Interrupted {
		t.Error(err)
	}
}

func TestLinesOfJSONAreBoards(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := begin(t, ctx, top.Config{JSON: true})
	s.send(t, board(1), "1")
	s.until(t, `"run_id":"100001"`)
	cancel()
	_ = s.end(t)
}
