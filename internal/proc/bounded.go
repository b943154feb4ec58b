package proc

import (
	"context"
	"time"
)

// RunFor is Run with a limit, for programs whose answer nobody waits for longer. One that cannot even be killed, because it hangs
// in the kernel with its file system, is left to itself some graces after that: it counts as ended by us, and may still write to
// the command's Stdout and Stderr.
func RunFor(ctx context.Context, limit time.Duration, c Command) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := Start(limited, c)
	if err != nil {
		return Result{}, err
	}
	select {
	case <-p.Done():
		return p.Wait()
	case <-limited.Done():
	}
	stuck := time.NewTimer(3 * c.Grace)
	defer stuck.Stop()
	select {
	case <-p.Done():
		return p.Wait()
	case <-stuck.C:
		return Result{ExitCode: -1, Ended: true}, nil
	}
}
