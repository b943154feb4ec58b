package keeper_test

import (
	"os/exec"
	"testing"

	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
)

// BenchmarkRun is what a program costs under each kind of containment, beside a bare one and one without a keeper.
func BenchmarkRun(b *testing.B) {
	const program = "/bin/true"
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if err := exec.CommandContext(b.Context(), program).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("proc", func(b *testing.B) {
		for b.Loop() {
			if _, err := proc.Run(b.Context(), proc.Command{Path: program}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, c := range kinds {
		b.Run(string(c), func(b *testing.B) {
			k, err := keeper.New(c, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer k.Close()
			if _, _, err := k.Containment(b.Context()); err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				if _, err := k.Run(b.Context(), proc.Command{Path: program}, keeper.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
