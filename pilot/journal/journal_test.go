package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
)

var must = testkit.Must

func key(identity string, attempt int) pilot.JournalKey {
	return pilot.JournalKey{Run: "1", Identity: identity, Attempt: attempt}
}

func open(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, false, logging.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// files are the journals in a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".journal" {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	return list
}

// killed copies a living journal's file as its pilot would have left it at this moment, killed: a kill -9 takes the lock with it.
func killed(t *testing.T, dir string) (left string) {
	t.Helper()
	b, err := os.ReadFile(files(t, dir)[0])
	must(t, err)
	left = filepath.Join(t.TempDir(), "node [1]") // whose name is no pattern
	must(t, os.Mkdir(left, 0o700))
	must(t, os.WriteFile(filepath.Join(left, "dead.journal"), b, 0o600))
	return left
}

func TestADoneResultAnswersLaterAttemptsAFailedOneOnlyItsOwn(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir())
	must(t, j.Received(key("hold", 1)))
	must(t, j.Outcome(key("good", 2), true, []byte("yes")))
	must(t, j.Outcome(key("bad", 2), false, []byte("no")))
	for _, c := range []struct {
		identity string
		attempt  int
		want     string
	}{
		{"hold", 1, ""},
		{"good", 1, ""},
		{"good", 2, "yes"},
		{"good", 3, "yes"},
		{"bad", 1, ""},
		{"bad", 2, "no"},
		{"bad", 3, ""},
		{"other", 1, ""},
	} {
		got, done, ok := j.Find(key(c.identity, c.attempt))
		if string(got) != c.want || ok != (c.want != "") || done != (c.want == "yes") {
			t.Errorf("%s, attempt %d: %q, %v, %v", c.identity, c.attempt, got, done, ok)
		}
	}
	if _, _, ok := j.Find(pilot.JournalKey{Run: "2", Identity: "good", Attempt: 2}); ok {
		t.Error("another run's slice is answered")
	}
	if n := j.Held(); n != 2 {
		t.Errorf("%d held, want 2", n)
	}
	j.Published(key("good", 2))
	if got, _, ok := j.Find(key("good", 2)); j.Held() != 1 || !ok || string(got) != "yes" {
		t.Errorf("what the broker has is held (%d), or answers no redelivery: %q", j.Held(), got)
	}
}

func TestAnAttemptDoesNotForgetTheResultOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir())
	must(t, j.Outcome(key("bad", 1), false, []byte("no")))
	must(t, j.Received(key("bad", 2)))
	if got, _, ok := j.Find(key("bad", 1)); !ok || string(got) != "no" {
		t.Errorf("attempt 1 has %q, %v", got, ok)
	}
	must(t, j.Outcome(key("bad", 2), true, []byte("yes")))
	for attempt, want := range map[int]string{1: "no", 2: "yes", 3: "yes"} {
		if got, _, _ := j.Find(key("bad", attempt)); string(got) != want {
			t.Errorf("attempt %d has %q, want %q", attempt, got, want)
		}
	}
	j.Drop(key("bad", 1))
	if _, _, ok := j.Find(key("bad", 1)); ok || j.Held() != 1 {
		t.Errorf("attempt 1 is answered: %v; %d held", ok, j.Held())
	}
}

func TestTheNextPilotAnswersWithTheSameBytesAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("acked", 1), true, []byte("x")))
	j.Drop(key("acked", 1))
	must(t, j.Outcome(key("a", 1), true, []byte("\x00result of a\n")))
	must(t, j.Received(key("b", 1)))
	left := killed(t, dir)
	next := open(t, left)
	if got, _, ok := next.Find(key("a", 1)); !ok || string(got) != "\x00result of a\n" {
		t.Errorf("got %q, %v", got, ok)
	}
	for _, identity := range []string{"acked", "b"} {
		if _, _, ok := next.Find(key(identity, 1)); ok {
			t.Errorf("%s is answered", identity)
		}
	}
	if n := next.Held(); n != 0 {
		t.Errorf("%d of a former pilot's results count as held", n)
	}
	// And the one after the next, should it be killed before the redelivery.
	if _, _, ok := open(t, killed(t, left)).Find(key("a", 1)); !ok {
		t.Error("a second kill lost the result")
	}
	if list := files(t, left); len(list) != 1 {
		t.Errorf("%v are there, want the one of the next pilot", list)
	}
}

func TestALivingPilotsJournalIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := open(t, dir)
	must(t, one.Outcome(key("a", 1), true, []byte("x")))
	two := open(t, dir)
	if _, _, ok := two.Find(key("a", 1)); ok || len(files(t, dir)) != 2 {
		t.Error("it was taken over")
	}
}

func TestPilotsThatStartTogetherLeaveEachOthersJournalsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 100 {
		must(t, os.WriteFile(filepath.Join(dir, "dead.journal"), nil, 0o600))
		var pilots errgroup.Group
		for range 4 {
			pilots.Go(func() error {
				j, err := journal.Open(dir, false, logging.Discard())
				if err != nil {
					return err
				}
				return j.Close() // which removes it, if it is still there to be removed
			})
		}
		must(t, pilots.Wait())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files left, %v", len(left), err)
	}
}

func TestATornTailCostsOnlyWhatWasTorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("a", 1), true, []byte("result of a")))
	whole, err := os.ReadFile(files(t, dir)[0])
	must(t, err)
	must(t, j.Outcome(key("b", 1), true, []byte("result of b")))
	both, err := os.ReadFile(files(t, dir)[0])
	must(t, err)
	for n := range both {
		left := t.TempDir()
		must(t, os.WriteFile(filepath.Join(left, "dead.journal"), both[:n], 0o600))
		got := open(t, left)
		_, _, a := got.Find(key("a", 1))
		_, _, b := got.Find(key("b", 1))
		if a != (n >= len(whole)) || b {
			t.Fatalf("cut at %d of %d: a %v, b %v", n, len(both), a, b)
		}
	}
}

func TestAJournalOfWhichNothingIsHeldStaysSmallAndGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	result := make([]byte, 4<<10)
	for i := range 1000 {
		must(t, j.Received(key("a", i+1)))
		must(t, j.Outcome(key("a", i+1), true, result))
		j.Drop(key("a", i+1))
	}
	info, err := os.Stat(files(t, dir)[0])
	if must(t, err); info.Size() > 300<<10 {
		t.Errorf("%d bytes for nothing", info.Size())
	}
	must(t, j.Close())
	if list := files(t, dir); len(list) != 0 {
		t.Errorf("%v is left", list)
	}
}

func TestAFolderThatCannotBeWrittenIsAClearError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := journal.Open(filepath.Join(file, "journal"), false, logging.Discard()); err == nil {
		t.Error("no error")
	}
}

func FuzzTakeOver(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "dead.journal"), b, 0o600))
		j, err := journal.Open(dir, false, logging.Discard())
		if err != nil {
			t.Fatal(err)
		}
		must(t, j.Close())
	})
}

func TestALinkToAJournalElsewhereIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("a", 1), true, []byte("result")))
	elsewhere, here := killed(t, dir), t.TempDir()
	must(t, os.Symlink(files(t, elsewhere)[0], filepath.Join(here, "link.journal")))
	if _, _, ok := open(t, here).Find(key("a", 1)); ok {
		t.Error("what it leads to is taken over")
	}
}

func TestFormerFoldersAreTakenOverWhereTheyAreOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, open(t, dir).Outcome(key("a", 1), true, []byte("result")))
	former, link := killed(t, dir), filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(former, link))
	find := func(former ...string) bool {
		j, err := journal.Open(t.TempDir(), false, logging.Discard(), former...)
		must(t, err)
		_, _, ok := j.Find(key("a", 1))
		must(t, j.Close())
		return ok
	}
	if find(link, filepath.Join(former, "none")) {
		t.Error("what a link leads to is taken over")
	}
	if !find(former) {
		t.Error("nothing is taken over")
	}
	if left := files(t, former); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}
