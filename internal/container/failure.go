package container

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// failure is one of the site: no container of this payload can be started here. Its next step is that of the table when it is empty.
func failure(cause error, next, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if next == "" && errors.Is(cause, fs.ErrNotExist) {
		next = "put it there, or mend the payload's TOML"
	}
	err = exitcode.Wrap(exitcode.SiteContainer, err)
	if next == "" {
		return err
	}
	return exitcode.WithNext(err, next)
}

// causes are what the words of runtimes mean that people meet most.
var causes = []struct {
	words []string
	next  string
}{
	{
		[]string{"user namespace", "uid map", "newuidmap", "creating new namespace failed", "no permissions to creat"},
		"let users make user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, AppArmor), or take --containment session when the runtime is a setuid program",
	},
	{[]string{"docker daemon"}, "start the docker daemon, or give the pilot's user the right to talk to it"},
	{
		[]string{"manifest unknown", "pull access denied", "repository does not exist", "requested access to the resource", "pinging container registry", "initializing source docker://"},
		"compare container.image in the payload's TOML with the registry, and see whether the node can reach it",
	},
	{[]string{"no space left", "disk quota"}, "free the disk of the runtime's cache (APPTAINER_CACHEDIR, or the home folder)"},
	{
		[]string{"mount source", "can't find source path", "doesn't exist", "does not exist", "no such file"},
		"something that is bound is not there: compare container.binds in the payload's TOML, and the queue's container options, with the node",
	},
	{[]string{"mount"}, "the kernel does not let the runtime mount: look at /dev/fuse, loop devices, and where its cache lies"},
}

// notStarted says why nothing was started inside, by what the runtime said last.
func notStarted(what, said string, r proc.Result) error {
	words := lastWords(said)
	next := ""
	for _, c := range causes {
		if containsAny(strings.ToLower(words), c.words) {
			next = c.next
			break
		}
	}
	switch {
	case words != "":
	case r.Ended:
		words = "nothing had been started when its time was over"
	case r.Signal != "":
		words = "its runtime was ended by a signal, " + r.Signal
	default:
		words = fmt.Sprintf("its runtime ended with status %d and said nothing", r.ExitCode)
	}
	return failure(nil, next, "starting %s: %s", what, words)
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// lastWords is the line that says what went wrong: the last of the fatal ones, else the last.
func lastWords(said string) string {
	const most = 400
	line := ""
	for l := range strings.Lines(said) {
		l = plain(l)
		if l != "" && (!isFatal(line) || isFatal(l)) && !strings.HasPrefix(l, "See '") {
			line = l
		}
	}
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "..."
	}
	return line
}

func isFatal(line string) bool {
	return containsAny(line, []string{"FATAL", "ERROR", "Error:", "bwrap:", "docker:"})
}

// plain takes away colours and whatever else is not for reading.
func plain(line string) string {
	var b strings.Builder
	escape := false
	for _, r := range strings.ToValidUTF8(line, "?") {
		switch {
		case r == 0x1b:
			escape = true
		case escape:
			escape = r == '[' || r == ';' || r >= '0' && r <= '9'
		case r >= ' ' && r != 0x7f:
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
