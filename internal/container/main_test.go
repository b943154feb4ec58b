package container_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/container"
	"tfpilot/internal/proc"
)

// TestMain is also the stand-in of each runtime: called by its name, it runs what the command line has after the image, without any
// container, as the entry. What it cannot find on the command line it takes from a variable that configures the real one too.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); slices.Contains([]string{"apptainer", "singularity", "podman", "docker", "bwrap"}, name) {
		syscall.Exit(standIn(os.Args))
	}
	m.Run()
}

func standIn(argv []string) int {
	if text := os.Getenv("APPTAINER_MESSAGE"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		return 255
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	i := slices.Index(argv, "/.tfpilot-enter")
	switch at := slices.Index(argv, "--entrypoint"); {
	case slices.Contains(argv, "exec") && i > 0:
		for _, v := range os.Environ() {
			if inside, ok := strings.CutPrefix(v, "APPTAINERENV_"); ok {
				env = append(env, inside)
			}
		}
		argv = argv[i:]
	case at > 0 && slices.Contains(argv, "run"):
		for i, word := range argv[:at] {
			if v := argv[i+1]; word == "--env" && !strings.Contains(v, "=") {
				env = append(env, v+"="+os.Getenv(v))
			} else if word == "--env" {
				env = append(env, v)
			}
		}
		argv = append([]string{argv[at+1]}, argv[at+3:]...)
	default:
		fmt.Fprintln(os.Stderr, "FATAL:   unknown command", argv)
		return 255
	}
	fmt.Fprintln(os.Stderr, "INFO:    a word of the runtime")
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, argv, env)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// runtimes is an environment in which there are stand-ins of some runtimes, and nothing else.
func runtimes(t *testing.T, names ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"PATH=" + dir}
}

// root is a folder that looks like an unpacked image.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"usr/bin", "etc", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a command without any containment.
func run(ctx context.Context, c proc.Command) (proc.Result, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, c.Stdin, c.Stdout, c.Stderr
	err := cmd.Run()
	r := proc.Result{}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.ExitCode, err = exit.ExitCode(), nil
	}
	if err == nil && c.Began != nil {
		err = c.Began(&r)
	}
	return r, err
}

// enter runs a program inside and returns its exit status, what it printed to both streams, and what kept it from being started.
func enter(t *testing.T, c *container.Container, cmd proc.Command) (status int, stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	s, err := c.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	r, err := run(t.Context(), s.Command)
	return r.ExitCode, out.String(), errs.String(), err
}

// failing runs nothing.
func failing(err error) func(context.Context, proc.Command) (proc.Result, error) {
	return func(context.Context, proc.Command) (proc.Result, error) { return proc.Result{}, err }
}
