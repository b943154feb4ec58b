package keeper

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// startFailure says why a program does not start, and what that is a failure of. The kernel names the program, and says that it
// is not there, also when something else is not.
func startFailure(c proc.Command, errno syscall.Errno) error {
	failure, what := exitcode.SiteNoProgram, ""
	switch errno {
	case syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM:
		failure = exitcode.SiteResources
	case syscall.ENOEXEC:
		what = "it is no program of this kind of machine, and its first line names no interpreter: "
	default:
		if _, err := os.Stat(c.Dir); c.Dir != "" && err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "starting %s: its folder: %w", c.Path, err)
		}
		what = missing(c.Path)
	}
	return exitcode.New(failure, "starting %s: %s%w", c.Path, what, errno)
}

// missing is what a program that is there needs to be started, to be followed by what the kernel said.
func missing(program string) string {
	f, err := os.Open(program)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	begin := make([]byte, 256) // as much as the kernel looks at
	n, _ := io.ReadFull(f, begin)
	line, _, _ := bytes.Cut(begin[:n], []byte{'\n'})
	if interpreter, ok := bytes.CutPrefix(line, []byte("#!")); ok {
		name, _, _ := bytes.Cut(bytes.TrimLeft(interpreter, " \t"), []byte{' '})
		return "the interpreter in its first line, " + strconv.Quote(string(name)) + ": "
	}
	if bytes.HasPrefix(line, []byte("\x7fELF")) {
		return "the loader that it names: "
	}
	return ""
}
