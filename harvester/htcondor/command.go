package htcondor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// maxOutput is what a command may print: some 1.5 KB for each of forty thousand jobs.
	maxOutput = 64 << 20
	// killAfter is between SIGTERM and SIGKILL of a command that takes too long.
	killAfter = 2 * time.Second
)

// run runs one of HTCondor's commands and returns what it prints.
func (s *System) run(ctx context.Context, command string, args ...string) ([]byte, error) {
	out, _, err := s.feed(ctx, "", command, args...)
	return out, err
}

var numberedLine = regexp.MustCompile(`[Ll]ine (\d+)`)

// describe gives condor_submit a description. It names a line at fault by its number, which nobody can look up: the line itself
// is added.
func (s *System) describe(ctx context.Context, description string, args ...string) (out []byte, warnings string, err error) {
	out, warnings, err = s.feed(ctx, description, "condor_submit", s.where(args...)...)
	if err == nil {
		return out, warnings, nil
	}
	if m := numberedLine.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])                                                                                         // one that is none names no line
		if all := strings.Split(description, "\n"); n > 0 && n < len(all) && !strings.HasPrefix(all[n-1], "environment") { // it may hold what is nobody's business
			err = fmt.Errorf("%w It is %q", err, all[n-1])
		}
	}
	return nil, "", err
}

// feed runs a command with text on its standard input. warnings are what it prints besides, when it succeeds. An error has its
// place in the table, and the next step.
func (s *System) feed(ctx context.Context, stdin, command string, args ...string) (out []byte, warnings string, err error) {
	path := command
	if s.cfg.Bin != "" {
		path = filepath.Join(s.cfg.Bin, command)
	}
	stdout, stderr := proc.NewCapture(maxOutput, 0), proc.NewCapture(2048, 6144)
	res, err := proc.RunFor(ctx, s.cfg.Timeout, proc.Command{
		Path: path, Args: args, Env: environment(), Stdin: strings.NewReader(stdin), Stdout: stdout, Stderr: stderr, Grace: killAfter,
	})
	switch {
	case err != nil && exitcode.From(err) == exitcode.SiteNoProgram:
		return nil, "", exitcode.WithNext(exitcode.New(exitcode.NoBatch, "HTCondor's commands are not here: %w", err),
			"install them, or set bin in the [htcondor] table to their folder")
	case err != nil:
		return nil, "", exitcode.Wrap(exitcode.NoBatch, err)
	case res.Ended:
		return nil, "", s.interrupted(ctx, command)
	case res.Signal != "":
		return nil, "", unclear(command, exitcode.New(exitcode.NoBatch, "%s was ended by a signal: %s", command, res.Signal))
	case res.ExitCode != 0:
		words := stderr.String()
		if strings.TrimSpace(words) == "" {
			words = excerpt(stdout.Bytes())
		}
		return nil, "", refusal(command, words)
	case stdout.Dropped() > 0:
		return nil, "", exitcode.New(exitcode.NoBatch, "%s printed more than %d MB", command, maxOutput>>20)
	}
	return stdout.Bytes(), stderr.String(), nil
}

// interrupted is the error of a command that we ended: it took too long, or nobody waits for it any more.
func (s *System) interrupted(ctx context.Context, command string) error {
	err := exitcode.WithNext(exitcode.New(exitcode.NoBatch, "%s did not answer within %s", command, s.cfg.Timeout),
		"see with `condor_q -totals` whether the schedd answers at all; timeout in the [htcondor] table gives it longer")
	if ctx.Err() != nil {
		err = exitcode.New(exitcode.NoBatch, "%s was ended: %w", command, ctx.Err())
	}
	return unclear(command, err)
}

// unclear marks the error of a submission that may have happened all the same.
func unclear(command string, err error) error {
	if command == "condor_submit" {
		return errors.Join(err, harvester.ErrUnclear)
	}
	return err
}

// environment is what the commands get of ours: how to find HTCondor and the user's credentials, and no language but C, since
// what they say is read here.
func environment() []string {
	keep := []string{"PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "CONDOR_CONFIG", "KRB5CCNAME", "X509_USER_PROXY", "BEARER_TOKEN", "BEARER_TOKEN_FILE", "XDG_RUNTIME_DIR"}
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if slices.Contains(keep, name) || strings.HasPrefix(name, "_CONDOR_") {
			env = append(env, v)
		}
	}
	return env
}
