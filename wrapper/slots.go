package wrapper

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// slots are where slices are worked on, numbered from 0.
type slots struct {
	mu  sync.Mutex
	all []slotState
}

type slotState struct {
	taken bool
	gone  <-chan struct{} // of the payload that was made ready there; nil when that cannot be, or was not asked for
	dir   string          // of the slot, for payloads that stay
	spare string          // an empty folder in it, for the next slice
	close func()
}

// ready says that a slice would not have to wait for the payload, as far as that is known.
func (s slotState) ready() bool {
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// take gives the first slot that is free, and whose payload is ready if there is one.
func (s *slots) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.all, func(one slotState) bool { return !one.taken && one.ready() })
	if n < 0 {
		n = slices.IndexFunc(s.all, func(one slotState) bool { return !one.taken })
	}
	if n < 0 {
		n = len(s.all)
	}
	s.at(n).taken = true
	return n
}

// at is a slot, which is made when it is not there yet. The caller holds s.mu.
func (s *slots) at(n int) *slotState {
	for len(s.all) <= n {
		s.all = append(s.all, slotState{})
	}
	return &s.all[n]
}

func (s *slots) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[n].taken = false
}

// close removes the folders of the slots.
func (s *slots) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if one := &s.all[i]; one.close != nil {
			one.close()
			one.close = nil
		}
	}
}

// Prepare returns when a slice could be worked on at once in a slot, counted from 0; see [payload.Payload].
func (w *Wrapper) Prepare(ctx context.Context, n int) (payload.Startup, error) {
	slot, err := w.slot(n)
	if err != nil {
		return payload.Startup{}, err
	}
	started, err := w.payload.Prepare(ctx, slot)
	if err != nil {
		return started, err
	}
	w.slots.mu.Lock()
	defer w.slots.mu.Unlock()
	w.slots.at(n).gone = started.Gone
	return started, nil
}

// slot is what a payload is told of a slot.
func (w *Wrapper) slot(n int) (payload.Slot, error) {
	slot := payload.Slot{Number: n, Env: w.inputs.env, DataDir: w.programs.data}
	if !w.spec.Stays() {
		return slot, nil
	}
	if w.programs.container != nil {
		_ = w.inputs.cache.Prepare() // what is not there cannot be seen inside; why not is told when it is needed
	}
	slot.Start = func(ctx context.Context, c proc.Command, l keeper.Limits) (*keeper.Program, error) {
		return w.programs.start(ctx, c, w.traced(n, l), container.Bind{Source: slot.Dir, Target: slot.Dir, Write: true})
	}
	slot.StartIn = func(ctx context.Context, image string, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
		return w.programs.startIn(ctx, image, c, w.traced(n, l), binds...)
	}
	slot.Log = func() payload.Log {
		log := w.logs.Between(n)
		writers := logTo(log)
		writers.Close = func(failed bool) []string {
			files, _ := log.Close(failed) // whether it is complete is no reason for anything
			return files
		}
		return writers
	}
	w.slots.mu.Lock()
	defer w.slots.mu.Unlock()
	state := w.slots.at(n)
	if state.close == nil {
		dir, remove, err := w.folder()
		if err != nil {
			return slot, err
		}
		state.dir, state.close = dir, remove
	}
	slot.Dir = state.dir
	return slot, nil
}

// sliceFolder makes the folder of a slice: in that of its slot, where there is one. There, one in which nothing was left is given to
// the next slice: making and removing it would be most of what a short slice costs.
func (w *Wrapper) sliceFolder(slot payload.Slot) (dir string, remove func(), err error) {
	if slot.Dir == "" {
		return w.folder()
	}
	w.slots.mu.Lock()
	dir, w.slots.at(slot.Number).spare = w.slots.at(slot.Number).spare, ""
	w.slots.mu.Unlock()
	if dir != "" && isEmpty(dir) { // it has had the time since to put something there
		return dir, func() { w.leaveFolder(slot.Number, dir) }, nil
	}
	// A payload that stays may have removed everything.
	if err = os.MkdirAll(slot.Dir, 0o700); err == nil {
		dir, err = os.MkdirTemp(slot.Dir, "slice-")
	}
	if err != nil {
		return "", nil, exitcode.New(exitcode.SiteNoSpace, "making the slice's folder: %w", err)
	}
	return dir, func() { w.leaveFolder(slot.Number, dir) }, nil
}

// leaveFolder keeps a slice's folder for the next one, or removes it with what is in it.
func (w *Wrapper) leaveFolder(slot int, dir string) {
	switch {
	case w.cfg.Keep:
	case isEmpty(dir):
		w.slots.mu.Lock()
		defer w.slots.mu.Unlock()
		w.slots.at(slot).spare = dir
	default:
		removeAll(dir)
	}
}

// isEmpty says that there is a folder, as it was made, with nothing in it.
func isEmpty(dir string) bool {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() != 0o700 {
		return false
	}
	_, err = f.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

// logTo is where a payload prints to by itself.
func logTo(l *payloadlog.Streams) payload.Log {
	stdout, stderr := l.Writers()
	return payload.Log{Stdout: stdout, Stderr: stderr}
}
