package stf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

func TestTheDetectorIsReadAsWrittenOrNotAtAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.stf")
	write(t, path, frames(3, 50))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// open opens the file with one byte turned over: it is refused as damaged, or still of the same detector.
	open := func(at int, mask byte) (refused bool) {
		b := bytes.Clone(whole)
		b[at] ^= mask
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := stf.Open(path)
		if err != nil {
			if exitcode.From(err) != exitcode.DataCorrupt || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
				t.Errorf("byte %d ^ %02x: %v", at, mask, err)
			}
			return true
		}
		if diff := cmp.Diff(geometry(), r.Geometry()); diff != "" {
			t.Errorf("byte %d ^ %02x: another detector %s", at, mask, diff)
		}
		_ = r.Close()
		return false
	}
	// Header, directory and geometry lie before the first basket.
	end := bytes.Index(whole, []byte("TBasket"))
	refused := 0
	for at := range end {
		if open(at, [...]byte{0xff, 1 << (at % 8)}[at%2]) {
			refused++
		}
	}
	t.Logf("%d of %d changes were refused; the others are of times and names that nobody reads", refused, end)
	if refused < end/4 {
		t.Error("too few")
	}
}
