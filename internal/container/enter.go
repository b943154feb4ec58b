package container

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// entry is where this executable is bound inside, and by what it knows, being called by that name, that it is only on the way to
// another program. No image has a file of that name, and nobody calls a program so by chance.
const entry = "/.tfpilot-enter"

// What the entry says on stderr, after a word that is another one each time: that all is ready for the program, and after that
// perhaps that the kernel would not start it.
const (
	wordStarted = " started\n"
	wordFailed  = " failed: "
)

// init is before main, as a keeper's is: whatever program this is, called run_prompt or otherwise, must not begin inside.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) >= 2 && os.Args[0] == entry {
		syscall.Exit(enter(os.Args[1], os.Args[2:]))
	}
}

// enter says that the container works, and becomes the program; without one that was all. An empty word says nothing.
func enter(word string, argv []string) int {
	if word != "" {
		say(word + wordStarted)
	}
	if len(argv) == 0 {
		return 0
	}
	path, err := exec.LookPath(argv[0])
	if err == nil {
		err = syscall.Exec(path, argv, os.Environ()) //nolint:gosec // that is what it is for
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
