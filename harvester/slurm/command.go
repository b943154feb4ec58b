package slurm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// maxOutput is what a command may print: some 400 bytes for each job.
	maxOutput = 64 << 20
	// killAfter is between SIGTERM and SIGKILL of a command that takes too long.
	killAfter = 2 * time.Second
)

// run runs one of Slurm's commands and returns what it prints.
func (s *System) run(ctx context.Context, command string, args ...string) (string, error) {
	out, _, err := s.feed(ctx, invocation{command: command, args: args})
	return out, err
}

// invocation is one call of a command.
type invocation struct {
	command string
	args    []string
	env     []string // beside what every command gets
	stdin   string
}

// feed runs a command. said is what it prints besides, when it succeeds. An error has its place in the table, and the next step.
func (s *System) feed(ctx context.Context, in invocation) (out, said string, err error) {
	path := in.command
	if s.cfg.Bin != "" {
		path = filepath.Join(s.cfg.Bin, in.command)
	}
	stdout, stderr := proc.NewCapture(maxOutput, 0), proc.NewCapture(2048, 6144)
	res, err := proc.RunFor(ctx, s.cfg.Timeout, proc.Command{
		Path: path, Args: in.args, Env: slices.Concat(environment(), in.env), Stdin: stdinOf(in.stdin), Stdout: stdout, Stderr: stderr, Grace: killAfter,
	})
	switch {
	case err != nil && exitcode.From(err) == exitcode.SiteNoProgram:
		return "", "", exitcode.WithNext(exitcode.New(exitcode.NoBatch, "Slurm's commands are not here: %w", err),
			"install them, load their module, or set bin in the [slurm] table to their folder")
	case err != nil:
		return "", "", exitcode.Wrap(exitcode.NoBatch, err)
	case res.Ended:
		return "", "", s.interrupted(ctx, in.command)
	case res.Signal != "":
		return "", "", unclear(in.command, exitcode.New(exitcode.NoBatch, "%s was ended by a signal: %s", in.command, res.Signal))
	case res.ExitCode != 0:
		words := stderr.String()
		if strings.TrimSpace(words) == "" {
			words = stdout.String() // `scontrol ping` says there that the controller is down
		}
		if strings.TrimSpace(words) == "" {
			words = fmt.Sprintf("status %d and no words", res.ExitCode)
		}
		return "", "", refusal(in.command, words)
	case stdout.Dropped() > 0:
		return "", "", exitcode.New(exitcode.NoBatch, "%s printed more than %d MB", in.command, maxOutput>>20)
	}
	return stdout.String(), stderr.String(), nil
}

// stdinOf is nil for none: a command that is given a pipe may wait for more.
func stdinOf(text string) io.Reader {
	if text == "" {
		return nil
	}
	return strings.NewReader(text)
}

// interrupted is the error of a command that we ended: it took too long, or nobody waits for it any more.
func (s *System) interrupted(ctx context.Context, command string) error {
	if ctx.Err() != nil {
		return unclear(command, exitcode.New(exitcode.NoBatch, "%s was ended: %w", command, ctx.Err()))
	}
	return unclear(command, exitcode.WithNext(exitcode.New(exitcode.NoBatch, "%s did not answer within %s", command, s.cfg.Timeout),
		"see with `scontrol ping` whether the controller answers at all; timeout in the [slurm] table gives it longer"))
}

// unclear marks the error of a submission that may have happened all the same.
func unclear(command string, err error) error {
	if command == "sbatch" {
		return errors.Join(err, harvester.ErrUnclear)
	}
	return err
}

// kept is what the commands get of our environment: how to find Slurm, and the user's credentials. Variables that change what
// they do (SBATCH_PARTITION, SQUEUE_USERS) are for people who type commands.
var kept = []string{"PATH", "HOME", "USER", "LOGNAME", "TZ", "LD_LIBRARY_PATH", slurmConf, "SLURM_CLUSTERS", "SLURM_JWT", "KRB5CCNAME"}

// slurmConf names Slurm's configuration file.
const slurmConf = "SLURM_CONF"

// environment is that, and the form of what they print.
func environment() []string {
	env := []string{"LC_ALL=C", "SLURM_TIME_FORMAT=%s"}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); slices.Contains(kept, name) {
			env = append(env, v)
		}
	}
	return env
}
