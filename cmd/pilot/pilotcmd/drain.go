package pilotcmd

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/pilot/slotinfo"
)

// warningSignals are listened to from the very start: unheard, they would end the process.
type warningSignals struct{ came chan os.Signal }

// listen waits for signals by their names, such as USR2 or SIGUSR2.
func listen(names []string) (warningSignals, error) {
	w := warningSignals{make(chan os.Signal, 1)}
	var list []os.Signal
	for _, name := range names {
		full := "SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")
		n := unix.SignalNum(full)
		if n == 0 {
			return w, exitcode.New(exitcode.Usage, "--warning-signals: %q is no signal such as USR2", name)
		}
		if slices.Contains([]syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL, syscall.SIGSTOP}, n) {
			return w, exitcode.New(exitcode.Usage, "--warning-signals: %s cannot be a warning: it ends the pilot, or stops it", full)
		}
		list = append(list, n)
	}
	if len(list) > 0 { // for none the library takes all
		signal.Notify(w.came, list...)
	}
	return w, nil
}

func (w warningSignals) stop() { signal.Stop(w.came) }

// drains is where the reasons come from for which a pilot takes no further slice: a warning signal, and a file that appears.
func drains(ctx context.Context, file string, warnings warningSignals, slot *slotinfo.Slot) <-chan error {
	out := make(chan error, 2)
	go func() {
		select {
		case s := <-warnings.came:
			out <- warned(ctx, s, slot)
		case <-ctx.Done():
		}
	}()
	if file != "" {
		go watchFile(ctx, file, func(err error) { out <- err })
	}
	return out
}

// warned is what a warning signal means: what the batch system says, else that the slot ends soon, if it does, else no more than
// that somebody wants the pilot gone.
func warned(ctx context.Context, s os.Signal, slot *slotinfo.Slot) error {
	name := cmp.Or(unix.SignalName(s.(syscall.Signal)), s.String()) //nolint:forcetypeassert // there is no other on Unix
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := slot.Taken(short); err != nil {
		return fmt.Errorf("warned by %s: %w", name, err)
	}
	const soon = 15 * time.Minute
	if end, ok := slot.End(); ok && time.Until(end.At) < soon {
		return exitcode.New(end.Cause, "warned by %s: the slot ends in %s (%s)", name, time.Until(end.At).Round(time.Second), end.Source)
	}
	return exitcode.New(exitcode.Drained, "told to drain by %s", name)
}

// lookForFile is how often a file is looked for. It may be on a file system of the network, which announces nothing.
const lookForFile = 2 * time.Second

// watchFile waits for a file to appear. It has a goroutine of its own, since a file system may hang.
func watchFile(ctx context.Context, path string, found func(error)) {
	t := time.NewTicker(lookForFile)
	defer t.Stop()
	for {
		if f, err := os.Open(path); err == nil {
			const most = 200
			line, _ := bufio.NewReader(io.LimitReader(f, most)).ReadString('\n')
			_ = f.Close()
			text := "told to drain by the file " + path
			if line = strings.TrimSpace(line); line != "" {
				text += fmt.Sprintf(": %q", line)
			}
			found(exitcode.New(exitcode.Drained, "%s", text))
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
