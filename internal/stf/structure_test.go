package stf_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

// damaged is a small file whose bytes can be changed, and what the reader says of it.
type damaged struct {
	t     *testing.T
	path  string
	whole []byte
}

func newDamaged(t *testing.T) *damaged {
	t.Helper()
	d := &damaged{t: t, path: filepath.Join(t.TempDir(), "a.stf")}
	write(t, d.path, frames(3, 50))
	var err error
	if d.whole, err = os.ReadFile(d.path); err != nil {
		t.Fatal(err)
	}
	return d
}

// open opens the file with one byte turned over, and checks that it is refused as damaged or still of the same detector.
func (d *damaged) open(at int, mask byte) (refused bool) {
	d.t.Helper()
	b := bytes.Clone(d.whole)
	b[at] ^= mask
	if err := os.WriteFile(d.path, b, 0o600); err != nil {
		d.t.Fatal(err)
	}
	r, err := stf.Open(d.path)
	if err != nil {
		if exitcode.From(err) != exitcode.DataCorrupt || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
			d.t.Errorf("byte %d ^ %02x: %v", at, mask, err)
		}
		return true
	}
	if diff := cmp.Diff(geometry(), r.Geometry()); diff != "" {
		d.t.Errorf("byte %d ^ %02x: another detector %s", at, mask, diff)
	}
	_ = r.Close()
	return false
}

func TestTheDetectorIsReadAsWrittenOrNotAtAll(t *testing.T) {
	t.Parallel()
	d := newDamaged(t)
	// Header, directory and geometry lie before the first basket.
	end := bytes.Index(d.whole, []byte("TBasket"))
	refused := 0
	for at := range end {
		if d.open(at, [...]byte{0xff, 1 << (at % 8)}[at%2]) {
			refused++
		}
	}
	t.Logf("%d of %d changes were refused; the others are of times and names that nobody reads", refused, end)
	if refused < end/4 {
		t.Error("too few")
	}
}

func TestADamagedDescriptionOfTheTreesIsRefused(t *testing.T) {
	t.Parallel()
	d := newDamaged(t)
	// The last objects are the trees' descriptions, the keys and the streamer information.
	start := bytes.LastIndex(d.whole, []byte("TTree"))
	rng := rand.New(rand.NewPCG(8, 9))
	refused := 0
	const flips = 400
	for range flips {
		if d.open(start+rng.IntN(len(d.whole)-start), byte(1)<<rng.IntN(8)) {
			refused++
		}
	}
	if refused < flips*8/10 {
		t.Errorf("%d of %d were refused", refused, flips)
	}
}

func TestATruncatedFileSaysHowMuchIsMissing(t *testing.T) {
	t.Parallel()
	d := newDamaged(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		n := rng.IntN(len(d.whole))
		if err := os.WriteFile(d.path, d.whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := stf.Open(d.path)
		if exitcode.From(err) != exitcode.DataCorrupt {
			t.Errorf("%d bytes: %v", n, err)
		}
		if n > 100 && !strings.Contains(err.Error(), "bytes and has") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, dangling := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dangling, dir, "/dev/zero", ""} {
		if _, err := stf.Open(path); exitcode.From(err) != exitcode.DataMissing {
			t.Errorf("%q: %v", path, err)
		}
	}
}
