package e2e_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/runplan"
	"tfpilot/internal/stf"
	"tfpilot/internal/testkit"
	"tfpilot/payload"
)

const damageFrames = 12

// wholeFile is a small time-frame file, as bytes.
func wholeFile(t *testing.T) []byte {
	t.Helper()
	g, err := detsim.New(detsim.Config{}, 3)
	must(t, err)
	path := filepath.Join(t.TempDir(), "whole.stf")
	_, err = daq.Write(t.Context(), g, path, 1, damageFrames, func() {})
	must(t, err)
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// reconstructFile runs tfreco as a pilot does, in a process of its own: the ROOT library may take its process down with it.
func reconstructFile(t *testing.T, path string, last int64) (result string, err error) {
	t.Helper()
	spec, err := payloadfile.Load("tfreco")
	must(t, err)
	spec.Timeout = testkit.Patience // a hang fails the test as a failure that is not of class data
	c, err := payload.NewCommand(spec, filepath.Join(bin(t), "tfpilot-payload"))
	must(t, err)
	s := slice(1, func(c *message.SliceContent) { c.Filename, c.End = path, message.NewInt(last) })
	ctx := soon(t)
	keepers, err := keeper.New(keeper.Auto, 0)
	must(t, err)
	defer keepers.Close()
	res, err := c.Run(ctx, payload.Request{Slice: s, Input: path, Dir: t.TempDir(), Run: keepers.Run})
	if err != nil {
		return "", err
	}
	res.Outputs = nil // the file of tracks has its date in it
	b, err := json.Marshal(res)
	must(t, err)
	return string(b), nil
}

func TestAFlippedByteIsAFailedSliceOfClassData(t *testing.T) {
	t.Parallel()
	whole := wholeFile(t)
	baskets := hitBaskets(t, whole)
	path := filepath.Join(t.TempDir(), "whole.stf")
	must(t, os.WriteFile(path, whole, 0o600))
	want, err := reconstructFile(t, path, damageFrames-1)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	// flip runs the payload on the file with one bit turned over.
	flip := func(at int) (result string, err error) {
		b := bytes.Clone(whole)
		b[at] ^= byte(1) << rng.IntN(8)
		path := filepath.Join(t.TempDir(), "damaged.stf")
		must(t, os.WriteFile(path, b, 0o600))
		result, err = reconstructFile(t, path, damageFrames-1)
		if f := exitcode.From(err); err != nil && (f.Class != exitcode.ClassData || strings.Contains(err.Error(), "\n")) {
			t.Errorf("byte %d of %d: %s: %v", at, len(whole), f.Name, err)
		}
		return result, err
	}
	const flips = 40
	for range flips {
		basket := baskets[rng.IntN(len(baskets))]
		at := basket[0] + rng.IntN(basket[1]-basket[0])
		if _, err := flip(at); err == nil {
			t.Errorf("byte %d, in the data of hits: a result", at)
		}
	}
	refused := 0
	for range flips {
		at := rng.IntN(len(whole))
		switch got, err := flip(at); {
		case err != nil:
			refused++
		case got != want:
			t.Errorf("byte %d of %d: another result", at, len(whole))
		}
	}
	t.Logf("%d of %d in the data of hits, and %d of %d anywhere, the others without effect", flips, flips, refused, flips)
}

// hitBaskets finds the data of the tree hits: records follow one another from byte 100 on, and a basket bears the name of its tree
// as title.
func hitBaskets(t *testing.T, file []byte) (data [][2]int) {
	t.Helper()
	for at := 100; at < len(file); {
		record := file[at:]
		length, head := int(int32(binary.BigEndian.Uint32(record))), int(binary.BigEndian.Uint16(record[14:]))
		if length < 0 { // a gap
			at -= length
			continue
		}
		class, rest := shortString(record[26:])
		_, rest = shortString(rest)
		if title, _ := shortString(rest); class == "TBasket" && title == "hits" {
			data = append(data, [2]int{at + head, at + length})
		}
		at += length
	}
	if len(data) < 8 {
		t.Fatalf("%d baskets", len(data))
	}
	return data
}

func shortString(b []byte) (text string, rest []byte) { return string(b[1 : 1+b[0]]), b[1+b[0]:] }

func TestAFileThatIsNotWholeIsAFailedSliceOfClassData(t *testing.T) {
	t.Parallel()
	whole := wholeFile(t)
	n := len(whole)
	for name, content := range map[string][]byte{
		"empty": {}, "one byte": whole[:1], "header only": whole[:100], "half": whole[:n/2], "all but the end": whole[:n-1],
		"text": []byte(strings.Repeat("not ROOT\n", 1000)), "zeros": make([]byte, n),
		"a page of zeros": slices.Concat(whole[:n/4], make([]byte, 4096), whole[n/4+4096:]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.stf")
			must(t, os.WriteFile(path, content, 0o600))
			if _, err := reconstructFile(t, path, damageFrames-1); exitcode.From(err) != exitcode.DataCorrupt || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
	dangling, pipe := filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "pipe")
	must(t, os.Symlink(filepath.Join(t.TempDir(), "nothing"), dangling))
	must(t, syscall.Mkfifo(pipe, 0o600))
	for name, path := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "x"), "a folder": t.TempDir(), "a link to nothing": dangling, "a pipe": pipe,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := reconstructFile(t, path, 1); exitcode.From(err) != exitcode.DataMissing || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("range outside", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "x.stf")
		must(t, os.WriteFile(path, whole, 0o600))
		_, err := reconstructFile(t, path, damageFrames)
		if f := exitcode.From(err); f != exitcode.DataRange || f.Retryable || !strings.Contains(err.Error(), "holds 0 to 11") {
			t.Errorf("got %v", err)
		}
	})
}

// A slice of a fifteenth reads little more than its share of the file: that is what makes slices of remote files cheap.
func TestReadingASliceTouchesAtMostTwiceItsBytes(t *testing.T) {
	t.Parallel()
	g, err := detsim.New(detsim.Config{}, 3)
	must(t, err)
	const frames = 1000
	path := filepath.Join(t.TempDir(), "whole.stf")
	_, err = daq.Write(t.Context(), g, path, 1, frames, func() {})
	must(t, err)
	whole, err := os.ReadFile(path)
	must(t, err)
	hits := 0
	for _, basket := range hitBaskets(t, whole) {
		hits += basket[1] - basket[0]
	}
	worst := 0.0
	for n, part := range runplan.Split(runplan.Range{First: 0, Last: frames - 1}, 15) {
		r, err := stf.Open(path)
		must(t, err)
		must(t, r.Read(part.First, part.Last, func(*stf.Frame) error { return nil }))
		share := float64(r.BytesRead()) / (float64(hits) * float64(part.Count()) / frames)
		must(t, r.Close())
		if worst = max(worst, share); share > 2 {
			t.Errorf("slice %d: %.2f times its bytes", n, share)
		}
	}
	t.Logf("at most %.2f times its share of the hits", worst)
}
