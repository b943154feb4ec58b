package stageout_test

import (
	"context"
	"errors"
	"fmt"
	"hash/adler32"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
)

func (m *memory) lock() (unlock func()) {
	m.mu.Lock()
	return m.mu.Unlock
}

func (m *memory) Find(_ context.Context, name string) (int64, string, error) {
	if err := m.step("find", name); err != nil {
		return 0, "", err
	}
	defer m.lock()()
	b, ok := m.files[name]
	if !ok {
		return 0, "", fs.ErrNotExist
	}
	return int64(len(b)), fmt.Sprintf("%08x", adler32.Checksum(b)), nil
}

func (m *memory) Write(_ context.Context, name string, f stageout.File) error {
	return errors.Join(m.put(name, f), m.step("write", name)) // a broken one leaves something
}

func (m *memory) Rename(_ context.Context, from, to string, replace bool) error {
	if err := m.step("rename", to); err != nil {
		return err
	}
	defer m.lock()()
	if _, there := m.files[to]; there && !replace {
		return fs.ErrExist
	}
	b, ok := m.files[from]
	if !ok {
		return fs.ErrNotExist
	}
	m.files[to] = b
	delete(m.files, from)
	return nil
}

func (m *memory) Remove(_ context.Context, name string) error {
	if err := m.step("remove", name); err != nil {
		return err
	}
	defer m.lock()()
	delete(m.files, name)
	return nil
}

func (m *memory) names() string {
	defer m.lock()()
	var names []string
	for name, b := range m.files {
		names = append(names, name+"="+string(b))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// times makes a step fail so often.
func times(n int, step string, err error) func(string, string) error {
	return func(s, _ string) error {
		if s != step || n == 0 {
			return nil
		}
		n--
		return err
	}
}

func TestAStepThatFailsIsTriedAgainABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"find", "write", "rename"} {
		for n, done := range map[int]bool{0: true, 5: true, 6: false} {
			t.Run(fmt.Sprint(step, n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := &memory{files: map[string][]byte{}, fault: times(n, step, errBroken)}
					started := time.Now()
					_, err := stageout.Deliver(t.Context(), m, []stageout.File{file("7/a", "x"), file("7/b", "y")}, stageout.Config{})
					want := ""
					if done {
						want = "7/a=x 7/b=y"
					}
					if (err == nil) != done || m.names() != want {
						t.Errorf("%v: %s", err, m.names())
					}
					if !done && (exitcode.From(err) != exitcode.OutputFailed || !errors.Is(err, errBroken)) {
						t.Error(err)
					}
					if waited := time.Since(started); n > 0 && waited != 15500*time.Millisecond {
						t.Errorf("it waited %s", waited)
					}
				})
			})
		}
	}
}

func TestWhatWillNotGoBetterIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, hopeless := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, fs.ErrPermission, exitcode.New(exitcode.NoCredential, "refused"), exitcode.New(exitcode.SiteNoProgram, "no xrdcp"),
	} {
		t.Run(hopeless.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &memory{files: map[string][]byte{}, fault: times(1, "write", hopeless)}
				started := time.Now()
				_, err := stageout.Deliver(t.Context(), m, []stageout.File{file("7/a", "x")}, stageout.Config{})
				if !errors.Is(err, hopeless) || m.names() != "" || time.Since(started) != 0 {
					t.Errorf("%v after %s: %s", err, time.Since(started), m.names())
				}
				want := exitcode.From(hopeless)
				if want == exitcode.Internal {
					want = exitcode.OutputFailed
				}
				if got := exitcode.From(err); got != want {
					t.Error(got.Name)
				}
			})
		})
	}
}

func TestAStoreThatNeverAnswersCostsItsTimeAndNoMore(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"find", "write", "rename", "remove"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				defer close(hang)
				m := &memory{files: map[string][]byte{}, fault: func(s, name string) error {
					if s == step || step == "remove" && s == "write" {
						<-hang
					}
					return nil
				}}
				started := time.Now()
				_, err := stageout.Deliver(t.Context(), m, []stageout.File{file("7/a", "x")}, stageout.Config{Timeout: time.Minute})
				if exitcode.From(err) != exitcode.OutputFailed || !strings.Contains(err.Error(), "7/a: not done within 1m0s") {
					t.Error(err)
				}
				if took := time.Since(started); took > 70*time.Second {
					t.Error(took)
				}
			})
		})
	}
}

func TestASlotThatIsTakenBackEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		m := &memory{files: map[string][]byte{}}
		m.fault = func(step, _ string) error {
			if step == "write" {
				cancel(errors.New("the slot is needed"))
			}
			return nil
		}
		_, err := stageout.Deliver(ctx, m, []stageout.File{file("7/a", "x"), file("7/b", "y")}, stageout.Config{})
		if exitcode.From(err) != exitcode.Interrupted || !strings.Contains(err.Error(), "the slot is needed") || m.names() != "" {
			t.Errorf("%v: %s", err, m.names())
		}
	})
}

func TestARenameThatNobodyHeardOfCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{files: map[string][]byte{}}
		m.fault = func(step, name string) error {
			if step == "rename" && m.files[name] == nil {
				m.files[name] = m.files["7/.a.part"]
				delete(m.files, "7/.a.part")
				return errBroken
			}
			return nil
		}
		placed := deliver(t, m, stageout.Config{}, file("7/a", "x"))
		if placed[0].Kept || m.names() != "7/a=x" {
			t.Errorf("%+v: %s", placed[0], m.names())
		}
	})
}

func TestTheFirstOfTwoAttemptsWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{files: map[string][]byte{}}
		m.fault = func(step, _ string) error {
			if step == "rename" {
				m.files["7/a"] = []byte("quicker")
			}
			return nil
		}
		placed := deliver(t, m, stageout.Config{}, file("7/a", "slower"))
		if !placed[0].Kept || placed[0].SizeBytes != 7 || m.names() != "7/a=quicker" {
			t.Errorf("%+v: %s", placed[0], m.names())
		}
	})
}
