package exitcode

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// afterSignal is what shells, and batch systems after them, add to the number of the signal that ended a program.
const afterSignal = 128

// signal is what a signal mostly means when it ends a job.
type signal struct{ name, usually string }

var signals = map[syscall.Signal]signal{
	syscall.SIGHUP:  {"SIGHUP", "its terminal or login session ended; start it with nohup, or as a job"},
	syscall.SIGINT:  {"SIGINT", "somebody pressed Ctrl-C"},
	syscall.SIGQUIT: {"SIGQUIT", "somebody pressed Ctrl-\\"},
	syscall.SIGILL:  {"SIGILL", "it was built for another processor"},
	syscall.SIGTRAP: {"SIGTRAP", "a debugger or an assertion"},
	syscall.SIGABRT: {"SIGABRT", "it gave up by itself: an assertion, or memory that it did not get; its last lines say which"},
	syscall.SIGBUS:  {"SIGBUS", "a file that it had mapped became shorter, or a disk or /dev/shm is full"},
	syscall.SIGFPE:  {"SIGFPE", "a division by zero in it"},
	syscall.SIGKILL: {"SIGKILL", "the batch system's memory or time limit, or the kernel out of memory"},
	syscall.SIGUSR1: {"SIGUSR1", "the batch system's warning before the end, which it does not know"},
	syscall.SIGSEGV: {"SIGSEGV", "a mistake in it; a core file says where"},
	syscall.SIGUSR2: {"SIGUSR2", "the batch system's warning before the end, which it does not know"},
	syscall.SIGPIPE: {"SIGPIPE", "whoever read what it printed has ended"},
	syscall.SIGTERM: {"SIGTERM", "the batch system at the end of the time or when the slot is wanted back, or somebody who cancelled it"},
	syscall.SIGXCPU: {"SIGXCPU", "the limit of CPU time"},
	syscall.SIGXFSZ: {"SIGXFSZ", "the limit of the size of a file"},
	syscall.SIGSYS:  {"SIGSYS", "a system call that a sandbox forbids"},
}

// SignalName is SIGKILL for 9, and "signal 99" for what has no name here.
func SignalName(number int) string {
	if s, ok := signals[syscall.Signal(number)]; ok {
		return s.name
	}
	return fmt.Sprintf("signal %d", number)
}

// SignalWords says of a signal that ended a program which one it was, and what that mostly means.
func SignalWords(number int) string {
	s, ok := signals[syscall.Signal(number)]
	if !ok {
		return fmt.Sprintf("killed by signal %d", number)
	}
	return fmt.Sprintf("killed by %s (%d): usually %s", s.name, number, s.usually)
}

// StatusSignal is the signal in an exit status as a shell reports it, 128 and the signal's number; ok is false for any other.
func StatusSignal(status int) (number int, ok bool) {
	number = status - afterSignal
	return number, number > 0 && number <= 64
}

// StatusWords says what the exit status of a job means: one of the table, a signal, one of the shell's own, or nothing that is
// known here.
func StatusWords(status int) string {
	if f, ok := ByCode(status); ok {
		return f.Name + ": " + f.Text
	}
	if number, ok := StatusSignal(status); ok {
		return SignalWords(number)
	}
	switch status {
	case 126:
		return "the shell could not start the program: it is no program, or must not be executed"
	case 127:
		return "the shell found no such program: a wrong path, or a library that is missing"
	}
	return fmt.Sprintf("status %d, which is none of tfpilot's: that of a script around it, or of the batch system", status)
}

// Find returns the lines of the table that a number or name means: an exit status, a name, or one of PanDA's codes, which several
// lines may share.
func Find(word string) []Failure {
	var found []Failure
	number, err := strconv.Atoi(word)
	for _, f := range Table() {
		if strings.EqualFold(f.Name, word) || err == nil && (f.Code == number || f.PanDA == number && number != 0) {
			found = append(found, f)
		}
	}
	return found
}
