package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/api"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
)

// stream is a stream of events as it comes.
type stream struct {
	t      *testing.T
	resp   *http.Response
	events chan document.Event // closed at its end
}

func follow(t *testing.T, url, token string, headers ...string) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // closed at the test's end
	must(t, err)
	s := &stream{t: t, resp: resp, events: make(chan document.Event)}
	done := make(chan struct{})
	go func() {
		defer close(s.events)
		_ = document.ReadEvents(resp.Body, func(e document.Event) error {
			select {
			case s.events <- document.Event{Name: e.Name, ID: e.ID, Data: bytes.Clone(e.Data)}:
				return nil
			case <-done:
				return io.EOF
			}
		})
	}()
	t.Cleanup(func() { close(done); _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, resp.Header)
	}
	return s
}

// until takes events until one is of a name, or the stream ends.
func (s *stream) until(name string) document.Event {
	s.t.Helper()
	limit := time.After(testkit.Patience)
	for {
		select {
		case e, more := <-s.events:
			if !more {
				s.t.Fatalf("the stream has ended without %q", name)
			}
			if e.Name == name {
				return e
			}
		case <-limit:
			s.t.Fatalf("no event %q", name)
		}
	}
}

// last is the last event before the end of the stream.
func (s *stream) last() (e document.Event) {
	s.t.Helper()
	limit := time.After(testkit.Patience)
	for {
		select {
		case next, more := <-s.events:
			if !more {
				return e
			}
			e = next
		case <-limit:
			s.t.Fatal("the stream does not end")
		}
	}
}

func TestAStreamHasWhatTheBoardHas(t *testing.T) {
	t.Parallel()
	base := server(t)
	_, text := request(t, http.MethodGet, base+"/v1/board", secrets[access.Viewer], "")
	s := follow(t, base+"/v1/events", secrets[access.Viewer])
	e := s.until(document.EventBoard)
	var asked, told document.Board
	must(t, json.Unmarshal([]byte(text), &asked))
	must(t, json.Unmarshal(e.Data, &told))
	if len(told.Runs) != 1 || told.Runs[0].Slices != asked.Runs[0].Slices || told.Runs[0].Slices.Done != 3 || e.ID == "" {
		t.Errorf("%s: %+v, %+v", e.ID, told.Runs, asked.Runs)
	}
	back := follow(t, base+"/v1/events", secrets[access.Viewer], "Last-Event-ID", e.ID)
	if next := <-back.events; next.ID == e.ID {
		t.Error("the board that was seen comes again")
	}
	if h := s.until(document.EventHistograms); !strings.Contains(string(h.Data), `"histograms":[{"name":"h"`) {
		t.Errorf("%s", h.Data)
	}
}

func TestAStreamIsNotEndedByTheLimitsOnOtherAnswers(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	const limit = 2 * time.Second
	base := serverWithin(t, store, api.Config{}, limit)
	s := follow(t, base+"/v1/events", secrets[access.Viewer])
	for began, n := time.Now(), 0; time.Since(began) < 2*limit; n++ {
		s.until(document.EventBoard)
		w, err := json.Marshal(document.WorkerReport{PilotID: strconv.Itoa(n), Namespace: namespace, Hostname: "host" + strconv.Itoa(n), InHand: []document.SliceInHand{}})
		must(t, err)
		if resp, text := request(t, http.MethodPost, base+"/v1/workers", secrets[access.Pilot], string(w)); resp.StatusCode != http.StatusOK {
			t.Fatalf("%d: %s", resp.StatusCode, text)
		}
	}
}

func TestAStreamMayEndAfterSoManyEvents(t *testing.T) {
	t.Parallel()
	resp, text := request(t, http.MethodGet, server(t)+"/v1/events?events=2", secrets[access.Viewer], "")
	if resp.StatusCode != http.StatusOK || strings.Count(text, "event: ") != 2 {
		t.Errorf("%d, %.300q", resp.StatusCode, text)
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	base := serverOn(t, store, api.Config{TokenCheck: 10 * time.Millisecond})
	made := tokenFor(t, base, access.Viewer, namespace)
	s := follow(t, base+"/v1/events", made.Secret)
	s.until(document.EventBoard)
	if resp, text := request(t, http.MethodDelete, base+"/v1/tokens/"+made.ID, secrets[access.Operator], ""); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d: %s", resp.StatusCode, text)
	}
	var bye document.ByeEvent
	e := s.last()
	if must(t, json.Unmarshal(e.Data, &bye)); e.Name != document.EventBye || bye.Back || !strings.Contains(bye.Reason, "token") {
		t.Errorf("%s: %s", e.Name, e.Data)
	}
}

// Where the page is for everybody, whoever has lost his token may still look, but not at what only that let him see.
func TestAStreamOfAnotherNamespaceEndsWithItsTokenAlsoWhereThePageIsForEverybody(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	base := serverOn(t, store, api.Config{TokenCheck: 10 * time.Millisecond, PublicPage: true})
	made := tokenFor(t, base, access.Viewer, "theirs")
	_, cookie := submit(t, base, made.Secret, "/")
	s := follow(t, base+"/v1/events", "", "Authorization", "", "Cookie", cookie.Name+"="+cookie.Value)
	if e := s.until(document.EventBoard); !strings.Contains(string(e.Data), `"namespace":"theirs"`) {
		t.Fatalf("%s", e.Data)
	}
	if resp, text := request(t, http.MethodDelete, base+"/v1/tokens/"+made.ID, secrets[access.Operator], ""); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d: %s", resp.StatusCode, text)
	}
	if e := s.last(); e.Name != document.EventBye {
		t.Errorf("%s: %s", e.Name, e.Data)
	}
}

func TestNobodyHasMoreStreamsThanAControlRoomNeeds(t *testing.T) {
	t.Parallel()
	base := server(t)
	most := 0
	for ; most < 1000; most++ {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/events", http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+secrets[access.Viewer])
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode == http.StatusTooManyRequests {
			if wait := resp.Header.Get("Retry-After"); wait == "" {
				t.Error("when to try again is not said")
			}
			break
		}
	}
	if most < 200 || most > 500 {
		t.Errorf("%d streams", most)
	}
	if resp, _ := request(t, http.MethodGet, base+"/v1/events?events=1", secrets[access.Operator], ""); resp.StatusCode != http.StatusOK {
		t.Errorf("somebody else: %d", resp.StatusCode)
	}
}

func TestAStreamIsOfOneNamespace(t *testing.T) {
	t.Parallel()
	base := server(t)
	theirs := tokenFor(t, base, access.Viewer, "theirs")
	if resp, _ := request(t, http.MethodGet, base+"/v1/events?namespace="+namespace, theirs.Secret, ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d", resp.StatusCode)
	}
	e := follow(t, base+"/v1/events", theirs.Secret).until(document.EventBoard)
	if strings.Contains(string(e.Data), run) || !strings.Contains(string(e.Data), `"namespace":"theirs"`) {
		t.Errorf("%s", e.Data)
	}
}

func TestWhatIsNoRequestForAStreamIsRefused(t *testing.T) {
	t.Parallel()
	base := server(t)
	for path, want := range map[string]int{
		"/v1/events?events=-1": http.StatusUnprocessableEntity, "/v1/events?events=x": http.StatusUnprocessableEntity, "/v1/events?namespace=" + strings.Repeat("n", 300): http.StatusUnprocessableEntity,
	} {
		if resp, text := request(t, http.MethodGet, base+path, secrets[access.Viewer], ""); resp.StatusCode != want {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, text)
		}
	}
	if resp, _ := request(t, http.MethodGet, base+"/v1/events", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
}
