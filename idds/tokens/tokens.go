// Package tokens knows who holds a token of ours: those of the file tokens.toml, and those that were made in the store, which has
// only their hashes.
//
// All that is asked for is in memory: who a request is from has to be known also while the store is away. One idds works on a
// store, so nobody else changes them.
package tokens

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
)

// Prefix begins every token that is made here, so that one that lies about is known for what it is.
const Prefix = "tfp_"

// Store keeps the tokens.
type Store interface {
	Update(ctx context.Context, fn func(tx ledger.Tx) error) error
	Tokens(ctx context.Context) ([]access.Token, error)
}

// Book is who holds which token.
type Book struct {
	store Store
	fixed map[string]access.Principal // of the file, by hash
	now   func() time.Time

	mu   sync.Mutex
	made map[string]access.Token // by hash
}

// Open reads the tokens of a store. Those of a file are role by token; they see every namespace, and end with the file.
func Open(ctx context.Context, store Store, file map[string]access.Role, now func() time.Time) (*Book, error) {
	b := &Book{store: store, fixed: map[string]access.Principal{}, made: map[string]access.Token{}, now: now}
	for token, role := range file {
		b.fixed[hash(token)] = access.Principal{Name: "tokens.toml/" + string(role), Role: role}
	}
	list, err := store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		b.made[t.Hash] = t
	}
	return b, nil
}

// Identify says who holds a token. [access.ErrUnknownToken] means that it is none of ours.
func (b *Book) Identify(_ context.Context, token string) (access.Principal, error) {
	h := hash(token)
	if p, ok := b.fixed[h]; ok {
		return p, nil
	}
	b.mu.Lock()
	t, ok := b.made[h]
	b.mu.Unlock()
	switch {
	case !ok:
		return access.Principal{}, access.ErrUnknownToken
	case !t.RevokedAt.IsZero():
		return access.Principal{}, fmt.Errorf("the token %s was revoked at %s", t.ID, t.RevokedAt.Format(time.RFC3339))
	case t.Expired(b.now()):
		return access.Principal{}, fmt.Errorf("the token %s expired at %s", t.ID, t.ExpiresAt.Format(time.RFC3339))
	}
	return access.Principal{Name: "token/" + t.ID, Role: t.Role, Namespace: t.Namespace}, nil
}

// Create makes a token as it is wanted, with a life, for ever when that is 0, and returns it with its secret, which is nowhere else.
// by is the line for the audit.
func (b *Book) Create(ctx context.Context, want access.Token, life time.Duration, by access.AuditLine) (t access.Token, secret string, err error) {
	secret = Prefix + rand.Text()
	t = want
	now := b.now().UTC()
	t.ID, t.Hash, t.CreatedAt, t.CreatedBy = strings.ToLower(rand.Text()[:10]), hash(secret), now.Truncate(time.Second), by.Who
	if life > 0 {
		t.ExpiresAt = now.Add(life).Truncate(time.Second)
	}
	by.Did, by.To = "token.create", t.ID
	by.Details = fmt.Sprintf("role %s, %s, %s", t.Role, cmp.Or(t.Namespace, "every namespace"), until(t.ExpiresAt))
	return t, secret, b.put(ctx, t, by)
}

func until(end time.Time) string {
	if end.IsZero() {
		return "never expires"
	}
	return "until " + end.UTC().Format(time.RFC3339)
}

// Revoke ends a token of a namespace, of any when that is empty. One that is revoked already stays as it is, which is no news; of one that
// is not there the error is [access.ErrUnknownToken].
func (b *Book) Revoke(ctx context.Context, namespace, id string, by access.AuditLine) (t access.Token, news bool, err error) {
	list := b.List(namespace)
	i := slices.IndexFunc(list, func(t access.Token) bool { return t.ID == id })
	if i < 0 {
		return t, false, access.ErrUnknownToken
	}
	if t = list[i]; !t.RevokedAt.IsZero() {
		return t, false, nil
	}
	t.RevokedAt, t.RevokedBy = b.now().UTC().Truncate(time.Second), by.Who
	by.Did, by.To = "token.revoke", t.ID
	return t, true, b.put(ctx, t, by)
}

// List are the tokens of a namespace, all when it is empty, the latest first.
func (b *Book) List(namespace string) []access.Token {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []access.Token{}
	for _, t := range b.made {
		if namespace == "" || t.Namespace == namespace {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y access.Token) int { return cmp.Or(y.CreatedAt.Compare(x.CreatedAt), cmp.Compare(x.ID, y.ID)) })
	return out
}

// putLimit is how long the store may take.
const putLimit = 30 * time.Second

// put writes a token with its line of the audit: both or neither. Who asks and hangs up leaves no doubt about which: it would be one
// whether the store has revoked a token that is good here.
func (b *Book) put(ctx context.Context, t access.Token, by access.AuditLine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putLimit)
	defer cancel()
	by.At, by.Namespace = b.now().UTC(), t.Namespace
	err := b.store.Update(ctx, func(tx ledger.Tx) error { return errors.Join(tx.PutToken(t), tx.AddAudit(by)) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[t.Hash] = t
	return nil
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
