package keeper_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

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

// holds makes the test binary a program that holds so many MB, a tenth of which it takes only bit by bit in the first minute.
const holds = "KEEPER_TEST_HOLDS"

func hold(megabytes int) {
	take := func() []byte {
		b := make([]byte, megabyte)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		return b
	}
	held := make([][]byte, 0, megabytes)
	for len(held) < megabytes-megabytes/10 {
		held = append(held, take())
	}
	for {
		<-time.After(time.Minute / time.Duration(megabytes/10))
		if len(held) < megabytes {
			held = append(held, take())
		}
	}
}

// BenchmarkWatching is what looking at eight programs costs: one that grows slowly, with two children each. core-percent is of this
// process, of one core.
func BenchmarkWatching(b *testing.B) {
	const programs, megabytes, span = 8, 200, 10 * time.Second
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	k, err := keeper.New(keeper.Auto, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var meters [programs]keeper.Meter
	for i := range meters {
		m := &meters[i]
		c := proc.Command{Path: "/bin/sh", Args: []string{"-c", "sleep 300 & sleep 300 & exec " + self}, Env: []string{holds + "=" + strconv.Itoa(megabytes)}}
		// Checked as a payload is that has all limits.
		check := func() error {
			if m.Seen().WrittenBytes > megabyte || m.OpenFiles() > 100 {
				return errors.New("it does what it is not to do")
			}
			return nil
		}
		all.Go(func() {
			if _, err := k.Run(ctx, c, keeper.Limits{Meter: m, MemoryBytes: 1000 * megabyte, Check: check}); err != nil {
				b.Error(err)
			}
		})
	}
	for i := range meters {
		for meters[i].Seen().PeakBytes < megabytes/2*megabyte {
			<-time.After(10 * time.Millisecond)
		}
	}
	var used time.Duration
	for b.Loop() {
		before := ownCPU(b)
		<-time.After(span)
		used += ownCPU(b) - before
	}
	b.ReportMetric(100*used.Seconds()/(span.Seconds()*float64(b.N)), "core-percent")
	cancel()
	all.Wait()
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
