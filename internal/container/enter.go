package container

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// entry is where this executable is bound inside, and by what it knows, being called by that name, that it is only on the way to
// another program. No image has a file of that name, and nobody calls a program so by chance.
const entry = "/.tfpilot-enter"

// What the entry is told to do: to become the program, or to stay, as process 1 of a namespace has to: no signal ends that one by
// default, and somebody must take the status of what is left to it.
const (
	entryBecomes = "become"
	entryStays   = "stay"
)

// What the entry says on stderr, after a word that is another one each time: that all is ready for the program, and after that
// perhaps that the kernel would not start it.
const (
	wordStarted = " started\n"
	wordFailed  = " failed: "
)

// init is before main, as a keeper's is: whatever program this is, called run_prompt or otherwise, must not begin inside.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) >= 3 && os.Args[0] == entry {
		syscall.Exit(enter(os.Args[1] == entryStays, os.Args[2], os.Args[3:]))
	}
}

// enter says that the container works, and starts the program; without one that was all. An empty word says nothing.
func enter(stay bool, word string, argv []string) (status int) {
	if word != "" {
		say(word + wordStarted)
	}
	if len(argv) == 0 {
		return 0
	}
	env := unpack(os.Environ())
	for _, v := range env { // the program is looked up with what is in it
		key, value, _ := strings.Cut(v, "=")
		_ = os.Setenv(key, value)
	}
	path, err := exec.LookPath(argv[0])
	if err == nil {
		if status, err = start(stay, path, argv, env); err == nil {
			return status
		}
		// A script whose interpreter is missing is "no such file" too, which nobody would understand.
		if errors.Is(err, syscall.ENOENT) {
			err = fmt.Errorf("%s: its interpreter or loader is not in the image", path)
		} else {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	say(word + wordFailed + strings.ReplaceAll(err.Error(), "\n", " ") + "\n")
	return 127
}

// start becomes the program, or stays until it has ended and returns its status as a shell would. What it leaves behind ends with the
// namespace.
func start(stay bool, path string, argv, env []string) (status int, err error) {
	if !stay {
		return 0, syscall.Exec(path, argv, env) //nolint:gosec // that is what it is for
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals)
	signal.Reset(syscall.SIGCHLD, syscall.SIGURG, syscall.SIGTTIN, syscall.SIGTTOU)
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}}) //nolint:gosec // see above
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(pid, number)
			}
		}
	}()
	for {
		var w syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &w, 0, nil); {
		case errors.Is(err, syscall.EINTR) || err == nil && ended != pid:
		case err != nil:
			return 0, err
		case w.Signaled():
			return 128 + int(w.Signal()), nil
		default:
			return w.ExitStatus(), nil
		}
	}
}

// say writes to stderr in one piece.
func say(text string) {
	for b := []byte(text); len(b) > 0; {
		n, err := syscall.Write(2, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		b = b[n:]
	}
}
