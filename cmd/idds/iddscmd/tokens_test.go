package iddscmd_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"tfpilot/cmd/idds/iddscmd"
	"tfpilot/internal/access"
)

func TestWhoeverAsksFirstMakesTheTokensOfAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var got [20]map[string]access.Role
	var g errgroup.Group
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = iddscmd.LoadTokens(filepath.Join(dir, "tokens.toml"))
			return err
		})
	}
	must(t, g.Wait())
	for _, tokens := range got {
		if len(tokens) != 4 || !maps.Equal(tokens, got[0]) {
			t.Fatalf("%d tokens, and not the same for all", len(tokens))
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
