package message_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/message"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

// compact removes the blanks that Python writes after comma and colon.
func compact(t *testing.T, b []byte) string {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Compact(&buf, b); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestLiveMessagesSurviveDecodeAndEncodeByteForByte(t *testing.T) {
	t.Parallel()
	for name, into := range map[string]any{
		"slice.body.json":        &message.Slice{},
		"slice_result.body.json": &message.SliceResult{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := read(t, name)
			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatal(err)
			}
			out, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			// The worker of January 2026 had no panda_server_url yet; that of mid-2026, whose shape is written, has it.
			out = bytes.Replace(out, []byte(`"panda_server_url":null,`), nil, 1)
			if diff := cmp.Diff(compact(t, raw), string(out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLiveMessagesAreValid(t *testing.T) {
	t.Parallel()
	s, err := message.Decode[message.Slice](read(t, "slice.body.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Content.Identity(), "2837c040-d0c9-4236-a645-4d838711c5e4"; got != want {
		t.Errorf("identity %q, want %q", got, want)
	}
	if s.Content.Frames() != 66 || s.Content.AttemptNumber() != 1 {
		t.Errorf("frames %d attempt %d", s.Content.Frames(), s.Content.AttemptNumber())
	}
	r, err := message.Decode[message.SliceResult](read(t, "slice_result.body.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Identity() != s.Content.Identity() || r.Content.RequestedAt.Text() != s.CreatedAt.Text() {
		t.Errorf("result %q requested %q does not belong to the slice", r.Identity(), r.Content.RequestedAt.Text())
	}
}

func TestUnknownKeysOfASliceAreCopied(t *testing.T) {
	t.Parallel()
	const in = `{"req_id":1,"mystery":{"b":[1, 2.50]},"start":"0","end":"65","slice_id":3,"filename":"f"}`
	var c message.SliceContent
	if err := json.Unmarshal([]byte(in), &c); err != nil {
		t.Fatal(err)
	}
	if c.ReqID != "1" || c.End.Int64() != 65 {
		t.Errorf("req_id %q end %d", c.ReqID, c.End.Int64())
	}
	c.Attempt = message.NewInt(2)
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"req_id":"1","mystery":{"b":[1,2.50]},"start":0,"end":65,"slice_id":3,"filename":"f","attempt":2}`
	if got := compact(t, out); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestASliceWithAFieldOfTheWrongTypeKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	m, err := message.Decode[message.Slice]([]byte(
		`{"msg_type":"slice","run_id":7,"content":{"req_id":"r1","attempt":2,"start":"soon","filename":["x"],"other":1}}`))
	if err == nil {
		t.Error("it is valid")
	}
	if m.Content.Identity() != "r1" || m.Content.AttemptNumber() != 2 || m.Run().String() != "7" {
		t.Errorf("%+v", m)
	}
	o, err := m.Content.Copy()
	if err != nil || string(o.Value("other")) != "1" || string(o.Value("start")) != `"soon"` {
		t.Errorf("copied %v, %v", o, err)
	}
}

func TestRunIDIsEchoedInTheTypeItCameIn(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`"102023"`, `102023`} {
		var r message.RunID
		if err := json.Unmarshal([]byte(in), &r); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(r)
		if err != nil || string(out) != in {
			t.Errorf("%s came back as %s, %v", in, out, err)
		}
		if !r.Same(message.Run("102023")) || !r.Same(message.RunNumber(102023)) {
			t.Errorf("%s does not equal its own number", in)
		}
	}
	for _, bad := range []string{`true`, `{}`, `[1]`} {
		if err := json.Unmarshal([]byte(bad), new(message.RunID)); err == nil {
			t.Errorf("%s was taken as a run", bad)
		}
	}
}

func TestEveryTimeFormatOfTheProductionSystemIsRead(t *testing.T) {
	t.Parallel()
	whole := time.Date(2026, 1, 18, 14, 36, 3, 0, time.UTC)
	micro := whole.Add(194616 * time.Microsecond)
	for in, want := range map[string]time.Time{
		`"2026-01-18T14:36:03.194616"`:       micro,
		`"2026-01-18T14:36:03"`:              whole,
		`"2026-01-18T14:36:03.194616+00:00"`: micro,
		`"2026-01-18T09:36:03.194616-05:00"`: micro,
		`"2026-01-18T14:36:03.194Z"`:         whole.Add(194 * time.Millisecond),
		`"Sun, 18 Jan 2026 14:36:03 UTC"`:    whole,
		`"20260118143603"`:                   whole,
		`"20260118143603194616"`:             micro,
		`1768746963.194616`:                  micro,
		`1768746963195`:                      whole.Add(195 * time.Millisecond),
		`"1768746963195"`:                    whole.Add(195 * time.Millisecond),
	} {
		var ts message.Timestamp
		if err := json.Unmarshal([]byte(in), &ts); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if !ts.Time().Equal(want) {
			t.Errorf("%s is %s, want %s", in, ts.Time(), want)
		}
		if out, _ := json.Marshal(ts); string(out) != in {
			t.Errorf("%s was copied as %s", in, out)
		}
	}
	if out, _ := json.Marshal(message.At(micro)); string(out) != `"2026-01-18T14:36:03.194616Z"` {
		t.Errorf("written as %s", out)
	}
	for _, odd := range []string{`"yesterday"`, `""`, `-1`, `"NaN"`, `"9999-12-31T23:59:59-01:00"`, `"0000-01-01T00:00:00+01:00"`} {
		var ts message.Timestamp
		if err := json.Unmarshal([]byte(odd), &ts); err != nil || !ts.Time().IsZero() {
			t.Errorf("%s: %v, %v", odd, ts.Time(), err)
		}
	}
}

func TestARunWhoseNumberIsTooLongIsRefusedInOneWay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("7", message.MaxRunID+1)
	_, peeked := message.Peek([]byte(`{"msg_type":"slice","run_id":"` + long + `"}`))
	for _, err := range []error{peeked, message.Run(long).Validate(), message.Slice{RunID: message.Run(long), Content: message.SliceContent{ReqID: "r"}}.Validate()} {
		if !errors.Is(err, message.ErrLongRun) {
			t.Errorf("got %v", err)
		}
	}
	if err := message.Run(long[1:]).Validate(); err != nil {
		t.Errorf("one byte less: %v", err)
	}
}

func TestSliceValidateTellsJunkFromBadData(t *testing.T) {
	t.Parallel()
	good := func() message.Slice {
		return message.Slice{MsgType: "slice", RunID: message.Run("1"), Content: message.SliceContent{
			ReqID: "r", Filename: "/data/f.stf", Start: message.NewInt(0), End: message.NewInt(65),
		}}
	}
	for _, c := range []struct {
		name string
		edit func(*message.Slice)
		junk bool
		bad  bool
	}{
		{"good", func(*message.Slice) {}, false, false},
		{"no identity", func(s *message.Slice) { s.Content.ReqID = "" }, true, true},
		{"file and number identify too", func(s *message.Slice) {
			s.Content.ReqID, s.Content.TFFilename, s.Content.SliceID = "", "x.tf", message.NewInt(0)
		}, false, false},
		{"no range", func(s *message.Slice) { s.Content.End = message.Int{} }, false, true},
		{"end before start", func(s *message.Slice) { s.Content.Start = message.NewInt(66) }, false, true},
		{"negative start", func(s *message.Slice) { s.Content.Start = message.NewInt(-1) }, false, true},
		{"path upward", func(s *message.Slice) { s.Content.Filename = "/data/../etc/passwd" }, false, true},
		{"newline in path", func(s *message.Slice) { s.Content.TFFilename = "a\nb" }, false, true},
		{"newline in req_id", func(s *message.Slice) { s.Content.ReqID = "a\nb" }, false, true},
		{"escape in run_id", func(s *message.Slice) { s.RunID = message.Run("1\x1b[2J") }, false, true},
		{"NUL in namespace", func(s *message.Slice) { s.Namespace = "a\x00" }, false, true},
		{"newline in the identity of a simulated one", func(s *message.Slice) { s.Content.ReqID, s.Content.FileType = "a\n", "fake" }, false, true},
		{"letters of others are no control characters", func(s *message.Slice) { s.Content.ReqID, s.Namespace = "ü-Ж-界", "実験" }, false, false},
		{"no file", func(s *message.Slice) { s.Content.Filename = "" }, false, true},
		{"simulated needs no file", func(s *message.Slice) { s.Content.Filename, s.Content.FileType = "", "fake" }, false, false},
		{"a run of any length", func(s *message.Slice) { s.RunID = message.Run(strings.Repeat("7", 201)) }, false, true},
		{"no run", func(s *message.Slice) { s.RunID = message.RunID{} }, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := good()
			c.edit(&s)
			err := s.Validate()
			if (err != nil) != c.bad || errors.Is(err, message.ErrNoIdentity) != c.junk {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSimulatedProcessingTimeIsThirtySecondsUnlessGiven(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		`{}`:                               30 * time.Second,
		`{"slice_processing_time":1.5}`:    1500 * time.Millisecond,
		`{"slice_processing_time":"2"}`:    2 * time.Second,
		`{"slice_processing_time":-1}`:     30 * time.Second,
		`{"slice_processing_time":"soon"}`: 30 * time.Second,
		`{"slice_processing_time":null}`:   30 * time.Second,
		`{"slice_processing_time":[1]}`:    30 * time.Second,
		`{"slice_processing_time":"NaN"}`:  30 * time.Second,
	} {
		var c message.SliceContent
		if err := json.Unmarshal([]byte(in), &c); err != nil {
			t.Fatal(err)
		}
		if got := c.ProcessingTime(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestPeekCallsEverythingElseJunk(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{``, `x`, `[]`, `1`, `{}`, `{"msg_type":""}`, `{"msg_type":7}`, "{\"msg_type\":\"slice\"", `null`, `{"msg_type":"slice","run_id":"` + strings.Repeat("7", 201) + `"}`} {
		if _, err := message.Peek([]byte(junk)); !errors.Is(err, message.ErrNotMessage) {
			t.Errorf("%q: %v", junk, err)
		}
	}
	e, err := message.Peek([]byte(`{"msg_type":"stop_transformer","run_id":7}`))
	if err != nil || e.MsgType != message.TypeStopTransformer || e.RunID.String() != "7" {
		t.Errorf("%+v, %v", e, err)
	}
}
