package nodetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"tfpilot/internal/proc"
)

// Command is the first argument of a child.
const Command = "node-test-child"

// self is this program, whatever has become of its file.
const self = "/proc/self/exe"

// IsChild reports whether this process is one of our children, by its arguments. A program called by another name never is one,
// whatever its arguments: a production worker ignores what it does not know.
func IsChild(argv []string) bool { return len(argv) > 1 && argv[0] == self && argv[1] == Command }

// The children of Child.
const (
	childLook  = "look"  // at file systems, as stdin says
	childStart = "start" // a program in place of this one
	childNone  = "none"  // ends at once
)

// errHangs says that a child did not end within its time.
var errHangs = errors.New("it hangs")

const (
	// grace is what a child has between SIGTERM and SIGKILL.
	grace = time.Second
	// burial is how long a killed child may take to be gone before it is given up.
	burial = time.Second
	// farewell is the same for a pilot that ends, and whose children then end with it.
	farewell = 2 * time.Second
)

// outcome is how a child ended.
type outcome struct {
	proc.Result

	stdout, stderr *proc.Capture
	// stuck is a child that was given up, nil when it has ended.
	stuck *proc.Process
}

// child runs one within the limit of a test. One that can not even be killed is given up, and is in the outcome.
func (t *Tests) child(ctx context.Context, input []byte, env []string, args ...string) (outcome, error) {
	const keep = 64 << 10
	o := outcome{stdout: proc.NewCapture(keep, 0), stderr: proc.NewCapture(0, 2<<10)}
	limited, cancel := context.WithTimeout(ctx, t.cfg.Limit)
	defer cancel()
	var stdin io.Reader
	if input != nil {
		stdin = bytes.NewReader(input)
	}
	p, err := proc.Start(limited, proc.Command{
		Path: self, Args: append([]string{Command}, args...), Env: env, Dir: "/", Stdin: stdin, Stdout: o.stdout, Stderr: o.stderr,
		Grace: grace, DiesWithParent: true,
	})
	if err != nil {
		return o, err
	}
	select {
	case <-p.Done():
	case <-limited.Done():
		patience := grace + burial
		if ctx.Err() != nil {
			patience = farewell
		}
		last := time.NewTimer(patience)
		defer last.Stop()
		select {
		case <-p.Done():
		case <-last.C:
			o.stuck = p
			return o, errHangs
		}
	}
	o.Result, err = p.Wait()
	if err == nil && o.Ended {
		err = errHangs
	}
	return o, err
}

// giveUp notes that something hangs in a child that cannot be killed.
func (t *Tests) giveUp(p *proc.Process, about string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stuck[about] = p
}

// hangs reports whether something still does: as long as it does, another child would only be another that cannot be killed.
func (t *Tests) hangs(about string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.stuck[about]
	if p == nil {
		return false
	}
	select {
	case <-p.Done():
		delete(t.stuck, about)
		return false
	default:
		return true
	}
}

// kept are the variables that children have of ours.
var kept = []string{
	"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "CUDA_VISIBLE_DEVICES",
	"SLURM_JOB_ID", "SLURM_JOB_GPUS", "_CONDOR_AssignedGPUs", "_CONDOR_MACHINE_AD", "_CONDOR_JOB_AD",
	"TFPILOT_BATCH_SYSTEM", "TFPILOT_BATCH_ID", "TFPILOT_WORKER_ID", "TFPILOT_SITE", "TFPILOT_SUBMITTED_AT",
}

// scrubbed is the environment of children: no secret is in it.
func scrubbed(more ...string) []string {
	var env []string
	for _, key := range kept {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return append(env, more...)
}

// oneLine is a text of others as one short line without what a terminal would obey.
func oneLine(text string) string {
	const most = 300
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.TrimSpace(text)
}
