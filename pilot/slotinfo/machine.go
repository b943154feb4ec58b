package slotinfo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// Machine is where facts are read from. Tests make one of their own.
type Machine struct {
	// Getenv is the environment.
	Getenv func(string) string
	// Root stands in front of the paths of /proc, /sys and /etc; empty but in tests.
	Root string
	PID  int
	// Affinity is on how many cores this process may run; 0 when that is not known.
	Affinity func() int
}

// ThisMachine is the one that this process runs on.
func ThisMachine() Machine {
	return Machine{Getenv: os.Getenv, PID: os.Getpid(), Affinity: affinity}
}

func affinity() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return 0
	}
	return set.Count()
}

// read is the text of a file of the system, without white space around it; empty when there is none.
func (m Machine) read(path string) string {
	b, err := os.ReadFile(filepath.Join(m.Root, path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// commandTime bounds a batch command. A controller that is down lets Slurm's wait for 9 s by themselves.
const commandTime = 12 * time.Second

// commandFolders are where a batch command is looked for beyond PATH, of which some batch systems hand on nothing.
var commandFolders = []string{"/usr/bin", "/usr/local/bin", "/opt/slurm/bin"}

// find looks for a batch command.
func (m Machine) find(name string) (path string, ok bool) {
	for _, dir := range append(filepath.SplitList(m.Getenv("PATH")), commandFolders...) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
			return path, true
		}
	}
	return "", false
}

// ask runs a batch command and returns what it prints.
func (m Machine) ask(ctx context.Context, name string, args ...string) (string, error) {
	path, ok := m.find(name)
	if !ok {
		return "", exitcode.New(exitcode.NoBatch, "no %s in PATH", name)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	// One task of an array is told of all the others too, a line each, and looks for its own.
	const most, mostWords = 1 << 20, 16 << 10
	stdout, stderr := proc.NewCapture(most, 0), proc.NewCapture(mostWords, 0)
	// Its environment is ours, but for what is no business of a batch command.
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TFPILOT_") {
			env = append(env, v)
		}
	}
	res, err := proc.Run(ctx, proc.Command{
		Path: path, Args: args, Env: append(env, "LC_ALL=C"), Stdout: stdout, Stderr: io.Writer(stderr), DiesWithParent: true,
	})
	switch {
	case err != nil:
		return "", err
	case res.Ended:
		return "", exitcode.New(exitcode.NoBatch, "%s did not answer: %w", name, context.Cause(ctx))
	case res.ExitCode != 0:
		words, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", exitcode.New(exitcode.NoBatch, "%s ended with status %d: %s", name, res.ExitCode, words)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// stat is what we need of /proc/PID/stat.
type stat struct {
	name   string
	parent int
	start  time.Duration // after the boot
}

// ticksPerSecond is the unit of times in /proc, the same on every Linux.
const ticksPerSecond = 100

func (m Machine) stat(pid int) (stat, bool) {
	b := []byte(m.read(fmt.Sprintf("/proc/%d/stat", pid)))
	// The name in parentheses may hold anything, parentheses included.
	open, closing := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || closing < open {
		return stat{}, false
	}
	f := strings.Fields(string(b[closing+1:]))
	const parent, start = 1, 19
	if len(f) <= start {
		return stat{}, false
	}
	ppid, perr := strconv.Atoi(f[parent])
	ticks, terr := strconv.ParseInt(f[start], 10, 64)
	if perr != nil || terr != nil {
		return stat{}, false
	}
	return stat{string(b[open+1 : closing]), ppid, time.Duration(ticks) * (time.Second / ticksPerSecond)}, true
}

// age is how long ago a process was started. No clock that somebody can set has a part in it.
func (m Machine) age(s stat) (time.Duration, bool) {
	text, _, _ := strings.Cut(m.read("/proc/uptime"), " ")
	up, err := strconv.ParseFloat(text, 64)
	if err != nil || s.name == "" {
		return 0, false
	}
	return max(time.Duration(up*float64(time.Second))-s.start, 0), true
}

// ancestor is the nearest ancestor of that name.
func (m Machine) ancestor(name string) (stat, bool) {
	s, ok := m.stat(m.PID)
	for range 100 { // deeper is no tree that anybody makes
		if !ok || s.parent <= 0 {
			return stat{}, false
		}
		if s, ok = m.stat(s.parent); ok && s.name == name {
			return s, true
		}
	}
	return stat{}, false
}
