package wrapper_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/resident"
	"tfpilot/wrapper"
)

// noop is the smallest program that keeps the contract: it leaves an empty result.
const noop = `package main

import "os"

func main() {
	if err := os.WriteFile(os.Getenv("TFPILOT_RESULT"), []byte("{}"), 0o644); err != nil {
		os.Exit(1)
	}
}
`

// buildNoop makes a static program of it.
func buildNoop(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	source, program := filepath.Join(dir, "noop.go"), filepath.Join(dir, "noop")
	if err := os.WriteFile(source, []byte(noop), 0o600); err != nil {
		b.Fatal(err)
	}
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return program
}

// forkExec is the least that running the program can cost.
func forkExec(b *testing.B, program, result string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), program)
	cmd.Env = []string{"TFPILOT_RESULT=" + result}
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkForkExec(b *testing.B) {
	program, result := buildNoop(b), filepath.Join(b.TempDir(), "result")
	for b.Loop() {
		forkExec(b, program, result)
	}
}

// BenchmarkCommandNoop runs a slice through the program, from its message to the outcome, and in turn the bare program, so
// that both see the same machine. above-ms is what a slice costs more.
func BenchmarkCommandNoop(b *testing.B) {
	program, result := buildNoop(b), filepath.Join(b.TempDir(), "result")
	spec := payloadfile.Spec{Name: "noop", Kind: payloadfile.KindCommand, Command: []string{program}, Timeout: time.Minute}
	p, err := payload.NewCommand(spec, "")
	if err != nil {
		b.Fatal(err)
	}
	w, err := wrapper.New(spec, p, p, wrapper.Config{WorkDir: b.TempDir(), LogDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close(context.Background()) })
	s := slice(b, `{}`)
	var bare time.Duration
	for b.Loop() {
		if o := w.Run(b.Context(), s); o.Err != nil {
			b.Fatal(o.Err)
		}
		b.StopTimer()
		started := time.Now()
		forkExec(b, program, result)
		bare += time.Since(started)
		b.StartTimer()
	}
	command, fork := b.Elapsed().Seconds()*1e3/float64(b.N), bare.Seconds()*1e3/float64(b.N)
	b.ReportMetric(command-fork, "above-ms")
	b.ReportMetric(command/fork, "ratio")
}

// BenchmarkResidentNoop runs a slice through a payload that stays and does nothing, from its message to the outcome.
func BenchmarkResidentNoop(b *testing.B) {
	program := filepath.Join(b.TempDir(), "tfpilot-payload")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../cmd/tfpilot-payload").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	spec := payloadfile.Spec{Name: "noop", Kind: payloadfile.KindResident, Command: []string{program, "synthetic", "--serve"}, Timeout: time.Minute, Grace: time.Second}
	spec.Resident.StartupTimeout = time.Minute
	p, err := resident.New(spec)
	if err != nil {
		b.Fatal(err)
	}
	w, err := wrapper.New(spec, p, p, wrapper.Config{WorkDir: b.TempDir(), LogDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close(context.Background()) })
	if _, err := w.Prepare(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	s := slice(b, `{}`)
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		if o := w.Run(b.Context(), s); o.Err != nil {
			b.Fatal(o.Err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "median-ms")
}
