package rootfile

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"

	"tfpilot/internal/exitcode"
)

// Recover is deferred: it turns a panic of the ROOT library into an error of class data, for a file that is no [File] yet.
func Recover(err *error, path string) {
	if p := recover(); p != nil {
		*err = panicError(path, p)
	}
}

func panicError(path string, p any) error {
	return exitcode.New(exitcode.DataCorrupt, "%s is damaged: %s", path, line(p))
}

// Cause is what the system said about a file of ours. The library wraps that in words about its own insides, and in the
// temporary name, which nobody has given; without a system's word it is put on one line.
func Cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return errors.New(line(err))
}

// line is what the library says as one printable line: now and then it quotes the file at length.
func line(said any) string {
	const most = 200
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprint(said))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
