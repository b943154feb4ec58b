//go:build integration

package journal_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIntegrationAJournalOfAnotherUserAnswersNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("only root may make a file of another user")
	}
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("a", 1), true, []byte("forged")))
	left := killed(t, dir)
	theirs := filepath.Join(left, "dead.journal")
	must(t, os.Chown(theirs, 65534, 65534))
	if _, _, ok := open(t, left).Find(key("a", 1)); ok {
		t.Error("a result of another user is taken for one of ours")
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Errorf("it is not left alone: %v", err)
	}
	must(t, os.Chown(theirs, os.Geteuid(), os.Getegid()))
	if _, _, ok := open(t, left).Find(key("a", 1)); !ok {
		t.Error("our own is not taken over")
	}
}
