package msgstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/seglog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a log that waits for no disk.
var quick = seglog.Options{NoSync: true}

func open(t *testing.T, dir string, ids int) (*msgstore.Store, msgstore.Restored) {
	t.Helper()
	s, was, err := msgstore.Open(dir, quick, ids)
	if err != nil {
		t.Fatal(err)
	}
	return s, was
}

func closed(t *testing.T, s *msgstore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// message is one copy of a persistent message.
func message(id uint64, queue, body string) *msgstore.Message {
	return &msgstore.Message{
		ID: id, Queue: queue, Address: "/topic/t", Persistent: true, Body: []byte(body), Header: frame.NewHeader("k", "v", "k", "w"),
		At: time.UnixMilli(1_000), Expires: time.UnixMilli(2_000),
	}
}

// said is what is restored, in a form to compare.
func said(was msgstore.Restored) (lines []string) {
	for _, m := range was.Messages {
		key, value := m.Header.GetAt(1)
		lines = append(lines, fmt.Sprint(m.ID, " ", m.Queue, " ", m.Address, " ", string(m.Body), " ", m.Deliveries, " ",
			key, value, " ", m.At.UnixMilli(), " ", m.Expires.UnixMilli(), " ", m.Persistent))
	}
	for _, k := range was.Subscriptions {
		lines = append(lines, k.Name+" "+k.Address+" "+k.Selector)
	}
	return lines
}

func TestWhatWasToldIsRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := open(t, dir, 3)
	fanOut := []*msgstore.Message{message(1, "a", "x"), message(2, "b", "x")}
	s.Add(fanOut)
	later := message(3, "a", "y")
	s.Add([]*msgstore.Message{later})
	s.Add([]*msgstore.Message{{ID: 4, Queue: "a", Header: frame.NewHeader()}, {ID: 5, Persistent: true, Header: frame.NewHeader()}}) // neither is kept
	s.Commit(5)
	later.Deliveries = 2
	s.Counted(later)
	s.Gone(fanOut[0])
	stays, goes := s.Subscribed("c.stays", "/topic/u", "x='1'"), s.Subscribed("c.goes", "/topic/u", "")
	s.Unsubscribed(goes)
	ids := s.IDs("/topic/t", 3)
	for _, id := range []string{"one", "two", "three", "four"} {
		ids.Add(id)
	}
	s.Commit(9)
	closed(t, s)
	want := []string{
		"2 b /topic/t x 0 kw 1000 2000 true", "3 a /topic/t y 2 kw 1000 2000 true", stays.Name + " /topic/u x='1'",
	}
	for range 2 {
		s, was := open(t, dir, 3)
		if diff := cmp.Diff(want, said(was)); diff != "" {
			t.Error(diff)
		}
		seen := was.IDs["/topic/t"]
		if was.NextID != 9 || seen.Has("one") || !seen.Has("two") || !seen.Has("four") {
			t.Errorf("next id %d, %v", was.NextID, seen)
		}
		closed(t, s)
	}
}

func TestWhatIsNotCommittedIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := open(t, dir, 1)
	s.Add([]*msgstore.Message{message(1, "a", "x")})
	if serial := s.Commit(1); serial != 1 || s.All() != 1 {
		t.Errorf("serial %d of %d", serial, s.All())
	}
	s.Add([]*msgstore.Message{message(2, "a", "y")})
	closed(t, s)
	s, was := open(t, dir, 1)
	defer closed(t, s)
	if len(was.Messages) != 1 {
		t.Errorf("%d messages", len(was.Messages))
	}
}

func TestANilStoreKeepsNothing(t *testing.T) {
	t.Parallel()
	var s *msgstore.Store
	m := message(1, "a", "x")
	s.Add([]*msgstore.Message{m})
	s.Counted(m)
	s.Gone(m)
	s.Unsubscribed(s.Subscribed("a", "b", ""))
	s.Wait(nil)
	ids := s.IDs("a", 1)
	ids.Add("one")
	ids.Add("two")
	if ids.Has("one") || !ids.Has("two") || m.Serial() != 0 || s.Commit(1) != 0 || s.All() != 0 || s.Full() != nil || s.Failed() != nil || s.Close() != nil {
		t.Error("it keeps something")
	}
}

// FuzzRecord takes any bytes for a record: it is read or refused, and what it says is the same when the store is opened again.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("\x07\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01a\x00\x02\x02\x01t\x01\x01k\x01v\x01b"))
	f.Add([]byte("\x07\x00\x00\x00\x00\x00\x00\x00\x04\x01t\x01\x01i\x05\x01n\x01t\x00\x06\x01n\x02\x01\x03\x01\x02"))
	noRoom := quick
	noRoom.Disk = func(bytes int64) error { // a reserve takes most of the time
		if bytes > 1<<20 {
			return errors.New("no room")
		}
		return nil
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		dir := t.TempDir()
		log, err := seglog.Open(dir, seglog.Options{Version: 1, NoSync: true, Disk: noRoom.Disk}, nil)
		if err != nil {
			t.Fatal(err)
		}
		log.Append(record)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		var first []string
		for i := range 2 {
			s, was, err := msgstore.Open(dir, noRoom, 2)
			if err != nil {
				if !errors.Is(err, seglog.ErrDamaged) {
					t.Fatal(err)
				}
				return
			}
			got := []string{fmt.Sprint(was.NextID, len(was.Messages), len(was.Subscriptions), len(was.IDs))}
			if i == 1 {
				if diff := cmp.Diff(first, got); diff != "" {
					t.Error(diff)
				}
			}
			first = got
			if i == 0 {
				for _, m := range was.Messages {
					s.Counted(m)
				}
				s.Commit(was.NextID)
			}
			closed(t, s)
		}
	})
}

// The log is so small that what lives is copied forward all the time: an id that was forgotten and came again stands in it twice.
func TestTheLastIDsAreKnownAfterEveryRestart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const size = 3
		dir, tiny := t.TempDir(), seglog.Options{NoSync: true, SegmentBytes: 128, ReserveBytes: 4096}
		open := func() (*msgstore.Store, *msgstore.IDs) {
			s, was, err := msgstore.Open(dir, tiny, size)
			if err != nil {
				rt.Fatal(err)
			}
			if ids := was.IDs["/topic/t"]; ids != nil {
				return s, ids
			}
			return s, s.IDs("/topic/t", size)
		}
		s, ids := open()
		defer func() { closed(t, s) }()
		var last []string
		for step := range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "", "again"}).Draw(rt, "id"); id {
			case "": // something else, which makes the log longer
				m := message(uint64(step+1), "/queue/q", rapid.StringN(0, 90, 90).Draw(rt, "body"))
				s.Add([]*msgstore.Message{m})
				s.Commit(uint64(step + 1))
				s.Gone(m)
				s.Commit(uint64(step + 1))
			case "again":
				closed(t, s)
				s, ids = open()
			default:
				if known := slices.Contains(last, id); ids.Has(id) != known {
					rt.Fatalf("%s known: %v, the last are %v", id, !known, last)
				} else if !known {
					ids.Add(id)
					s.Commit(uint64(step + 1))
					last = append(last, id)
					last = last[max(0, len(last)-size):]
				}
			}
		}
	})
}
