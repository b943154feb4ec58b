package stf_test

import (
	"path/filepath"
	"testing"

	"tfpilot/internal/stf"
)

// benchFrames and benchHits are of the size of a quarter of a real file.
const (
	benchFrames = 250
	benchHits   = 1500
)

func benchFile(b *testing.B) (path string, list []stf.Frame) {
	b.Helper()
	return filepath.Join(b.TempDir(), "a.stf"), frames(benchFrames, benchHits)
}

func BenchmarkWrite(b *testing.B) {
	path, list := benchFile(b)
	for b.Loop() {
		b.SetBytes(write(b, path, list).SizeBytes)
	}
	b.ReportMetric(float64(b.N*benchFrames)/b.Elapsed().Seconds(), "frames/s")
}

func BenchmarkRead(b *testing.B) {
	path, list := benchFile(b)
	b.SetBytes(write(b, path, list).SizeBytes)
	for b.Loop() {
		if err := readAll(path, 0, benchFrames-1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*benchFrames)/b.Elapsed().Seconds(), "frames/s")
}
