package e2e_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stf"
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
	spec, err := payload.LoadSpec("tfreco")
	must(t, err)
	spec.Timeout = payload.Duration(20 * time.Second) // a hang fails the test as a failure that is not of class data
	c, err := payload.NewCommand(spec, filepath.Join(bin(t), "tfpilot-payload"))
	must(t, err)
	s := slice(1, func(c *message.SliceContent) { c.Filename, c.End = path, message.NewInt(last) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := c.Run(ctx, payload.Request{Slice: s, Input: path, Dir: t.TempDir()})
	if err != nil {
		return "", err
	}
	res.Outputs = nil // the file of tracks has its date in it
	b, err := json.Marshal(res)
	must(t, err)
	return string(b), nil
}

func TestAFlippedByteIsAFailedSliceOfClassDataOrChangesNothing(t *testing.T) {
	t.Parallel()
	whole := wholeFile(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.stf")
	must(t, os.WriteFile(path, whole, 0o600))
	want, err := reconstructFile(t, path, damageFrames-1)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	const flips = 120
	seen := 0
	for range flips {
		at, bit := rng.IntN(len(whole)), byte(1)<<rng.IntN(8)
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= bit
		path := filepath.Join(dir, "damaged.stf")
		must(t, os.WriteFile(path, damaged, 0o600))
		got, err := reconstructFile(t, path, damageFrames-1)
		switch {
		case err == nil && got != want:
			t.Fatalf("byte %d of %d, bit %08b: another result", at, len(whole), bit)
		case err != nil && exitcode.From(err).Class != exitcode.ClassData:
			t.Errorf("byte %d of %d, bit %08b: %v", at, len(whole), bit, err)
		case err != nil:
			seen++
		}
	}
	t.Logf("%d of %d flipped bytes were found; the others are in the truth or carry nothing", seen, flips)
	if seen < flips/2 {
		t.Error("too few: most of the file is hits")
	}
}

func TestAFileThatIsNotWholeIsAFailedSliceOfClassData(t *testing.T) {
	t.Parallel()
	whole := wholeFile(t)
	n := len(whole)
	for name, content := range map[string][]byte{
		"empty": {}, "one byte": whole[:1], "header only": whole[:100], "half": whole[:n/2], "all but the end": whole[:n-1],
		"text": []byte(strings.Repeat("not ROOT\n", 1000)), "zeros": make([]byte, n),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.stf")
			must(t, os.WriteFile(path, content, 0o600))
			if _, err := reconstructFile(t, path, 1); exitcode.From(err).Class != exitcode.ClassData || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "x"), "a folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := reconstructFile(t, path, 1); exitcode.From(err) != exitcode.DataMissing {
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
	hits := hitBytes(t, path, frames)
	for n, part := range daq.Split(daq.Range{First: 0, Last: frames - 1}, 15) {
		r, err := stf.Open(path)
		must(t, err)
		must(t, r.Read(part.First, part.Last, func(*stf.Frame) error { return nil }))
		share := float64(r.BytesRead()) / (float64(hits) * float64(part.Count()) / frames)
		must(t, r.Close())
		if n == 0 || share > 2 {
			t.Logf("slice %d: %.2f times its bytes", n, share)
		}
		if share > 2 {
			t.Error("more than twice")
		}
	}
}

// hitBytes is what reading all hits takes: the file without the truth.
func hitBytes(t *testing.T, path string, frames int) int64 {
	t.Helper()
	r, err := stf.Open(path)
	must(t, err)
	defer func() { _ = r.Close() }()
	must(t, r.Read(0, frames-1, func(*stf.Frame) error { return nil }))
	return r.BytesRead()
}
