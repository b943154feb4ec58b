package program

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// LifelineEnv names the variable with the descriptor number of the lifeline.
const LifelineEnv = "TFPILOT_LIFELINE_FD"

// ErrLifeline is the cause of the context's end when the parent has died.
var ErrLifeline = errors.New("the program that started this one has ended")

// Lifeline is the inherited end of the pipe, to be handed on to a child as an extra file (then LifelineEnv=3+index in its
// environment), or nil when there is none.
func Lifeline() *os.File { return lifeline() }

// One file for the descriptor: a second one would close it when it is collected.
var lifeline = sync.OnceValue(func() *os.File {
	fd, err := strconv.Atoi(os.Getenv(LifelineEnv))
	if err != nil || fd < 3 {
		return nil
	}
	// Inherited descriptors survive exec unless told otherwise; a payload must not hold the line.
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "lifeline")
})

// withLifeline cancels the context when the lifeline, if any, breaks.
func withLifeline(parent context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	if line := Lifeline(); line != nil {
		// The reader lives as long as the process: nothing else can end a read of an inherited pipe.
		go func() {
			_, _ = io.Copy(io.Discard, line)
			cancel(ErrLifeline)
		}()
	}
	return ctx, cancel
}
