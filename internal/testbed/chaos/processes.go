package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/pause"
)

// processLimit is how long what was killed may take to be gone, on a machine that is busy.
const processLimit = 10 * time.Second

// working are the processes that work in a folder or below it, other than we.
func working(folder string) (pids []int, err error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		at, err := os.Readlink(l)
		if err != nil || (at != folder && !strings.HasPrefix(at, folder+"/")) {
			continue // ended, or not of our user
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(l))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// gone waits until no process works in a folder, and returns those that still do after processLimit.
func gone(ctx context.Context, folder string) ([]int, error) {
	until := time.Now().Add(processLimit)
	for {
		pids, err := working(folder)
		if err != nil || len(pids) == 0 || time.Now().After(until) {
			return pids, err
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return pids, err
		}
	}
}
