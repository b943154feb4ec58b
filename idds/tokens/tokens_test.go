package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/sqlite"
	"tfpilot/idds/tokens"
	"tfpilot/internal/access"
	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

var file = map[string]access.Role{"viewer-token-0123456": access.Viewer}

type book struct {
	*tokens.Book

	dir   string
	store *sqlite.Store
	now   time.Time
}

func open(t *testing.T, dir string) *book {
	t.Helper()
	store, err := sqlite.Open(t.Context(), dir, logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	b := &book{dir: dir, store: store, now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	b.Book, err = tokens.Open(t.Context(), store, file, func() time.Time { return b.now })
	must(t, err)
	return b
}

func (b *book) create(t *testing.T, want access.Token, life time.Duration) (access.Token, string) {
	t.Helper()
	made, secret, err := b.Create(t.Context(), want, life, access.AuditLine{Who: "me", From: "10.0.0.1"})
	must(t, err)
	return made, secret
}

func (b *book) mustRefuse(t *testing.T, secret, why string) {
	t.Helper()
	if p, err := b.Identify(t.Context(), secret); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%+v, %v; want %q", p, err, why)
	}
}

func TestATokenIsWhatItWasMadeForAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	made, secret := b.create(t, access.Token{Name: "farm", Role: access.Pilot, Namespace: "epic"}, 0)
	want := access.Principal{Name: "token/" + made.ID, Role: access.Pilot, Namespace: "epic"}
	for range 2 {
		if p, err := b.Identify(t.Context(), secret); p != want || err != nil {
			t.Errorf("%+v, %v", p, err)
		}
		must(t, b.store.Close())
		b = open(t, b.dir)
	}
	if p, err := b.Identify(t.Context(), "viewer-token-0123456"); p.Role != access.Viewer || p.Namespace != "" || err != nil {
		t.Errorf("of the file: %+v, %v", p, err)
	}
	for _, unknown := range []string{"", secret + "x", made.Hash, made.ID} {
		if _, err := b.Identify(t.Context(), unknown); !errors.Is(err, access.ErrUnknownToken) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}

func TestATokenEndsWithItsTimeAndWhenItIsRevoked(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	_, short := b.create(t, access.Token{Name: "short", Role: access.Viewer}, time.Minute)
	long, secret := b.create(t, access.Token{Name: "long", Role: access.Viewer, Namespace: "epic"}, 0)
	b.now = b.now.Add(time.Minute)
	b.mustRefuse(t, short, "expired at 2026-11-26T12:01:00Z")
	if _, _, err := b.Revoke(t.Context(), "theirs", long.ID, access.AuditLine{}); !errors.Is(err, access.ErrUnknownToken) {
		t.Errorf("a token of another namespace: %v", err)
	}
	for _, first := range []bool{true, false} { // again changes nothing
		ended, news, err := b.Revoke(t.Context(), "epic", long.ID, access.AuditLine{Who: "you"})
		if err != nil || news != first || ended.RevokedBy != "you" || !ended.RevokedAt.Equal(b.now) {
			t.Errorf("%+v, %v, %v", ended, news, err)
		}
	}
	b.mustRefuse(t, secret, "was revoked")
	lines, _, err := b.store.AuditPage(t.Context(), "", 0, 10)
	must(t, err)
	if len(lines) != 3 || lines[0].Did != "token.revoke" || lines[0].Who != "you" || lines[2].Did != "token.create" || lines[2].From != "10.0.0.1" {
		t.Errorf("%+v", lines)
	}
	if list := b.List("epic"); len(list) != 1 || list[0].ID != long.ID {
		t.Errorf("%+v", list)
	}
}

func TestWhoHangsUpHasRevokedAllTheSame(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	made, secret := b.create(t, access.Token{Name: "farm", Role: access.Pilot}, 0)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, _, err := b.Revoke(gone, "", made.ID, access.AuditLine{})
	must(t, err)
	b.mustRefuse(t, secret, "was revoked")
}

func TestTheStoreHasNoSecret(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	_, secret := b.create(t, access.Token{Name: "farm", Role: access.Pilot}, 0)
	must(t, b.store.Close())
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	must(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		must(t, err)
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte(strings.TrimPrefix(secret, tokens.Prefix))) {
			t.Errorf("%s has it", f)
		}
	}
}

func TestWhatTheStoreDoesNotTakeIsNoToken(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	made, secret := b.create(t, access.Token{Name: "farm", Role: access.Pilot}, 0)
	must(t, b.store.Close())
	if _, _, err := b.Create(t.Context(), access.Token{Name: "lost"}, 0, access.AuditLine{}); err == nil {
		t.Error("made without a store")
	}
	if _, _, err := b.Revoke(t.Context(), "", made.ID, access.AuditLine{}); err == nil {
		t.Error("revoked without a store")
	}
	if _, err := b.Identify(t.Context(), secret); err != nil || len(b.List("")) != 1 {
		t.Errorf("who it is has to be known without the store: %v", err)
	}
}
