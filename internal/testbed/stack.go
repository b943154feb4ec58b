package testbed

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
	"tfpilot/internal/program"
)

// grace is how long a program may take to end after SIGTERM before it is killed: longer than a pilot's drain.
const grace = 15 * time.Second

// startLimit bounds how long a server may take until it has written its address.
const startLimit = 20 * time.Second

// Stack is the running programs of one state directory. Each logs to logs/NAME.log.
type Stack struct {
	dir string
	bin string

	lifeline  *os.File // the read end, handed to every program
	keepAlive *os.File // the write end, which nobody else has: when we die, all see the end

	mu      sync.Mutex
	running []*service
	wg      sync.WaitGroup
}

// service is one program with its end.
type service struct {
	name   string
	pid    int
	cancel context.CancelFunc
	ended  chan struct{}
	result proc.Result
	err    error
}

// NewStack prepares a stack of the programs in the folder bin, in the state directory dir.
func NewStack(dir, bin string) (*Stack, error) {
	for _, d := range []string{dir, filepath.Join(dir, "logs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, exitcode.New(exitcode.StoreFailed, "making the state directory: %w", err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, exitcode.New(exitcode.SiteResources, "making the lifeline: %w", err)
	}
	return &Stack{dir: dir, bin: bin, lifeline: r, keepAlive: w}, nil
}

// Path is a file or folder of the state directory.
func (s *Stack) Path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// Secret makes a random secret in the file NAME (mode 0600) and returns it with the file's path. An existing one is kept, so
// that a restart on the same state has the same tokens.
func (s *Stack) Secret(name string) (secret, path string, err error) {
	path = s.Path(name)
	if old, err := program.ReadSecret(path); err == nil {
		return old, path, nil
	}
	secret = rand.Text()
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", "", exitcode.New(exitcode.StoreFailed, "writing a secret: %w", err)
	}
	return secret, path, nil
}

// Start starts a program under a name. env is added to the little that every program gets.
func (s *Stack) Start(ctx context.Context, name, command string, args []string, env ...string) error {
	path := filepath.Join(s.bin, command)
	if _, err := os.Stat(path); err != nil {
		return missing(command, s.bin)
	}
	log, err := os.OpenFile(s.Path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "opening the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the program has its own by now
	// The service's life is the stack's, not the caller's: Stop ends it in its turn, in order.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p, err := proc.Start(own, proc.Command{
		Path: path, Args: args, Dir: s.dir, Stdout: log, Stderr: log, Grace: grace,
		Env:        append(baseEnv(), append(env, program.LifelineEnv+"=3")...),
		ExtraFiles: []*os.File{s.lifeline},
	})
	if err != nil {
		cancel()
		return fmt.Errorf("starting %s: %w", name, err)
	}
	svc := &service{name: name, pid: p.PID(), cancel: cancel, ended: make(chan struct{})}
	s.mu.Lock()
	s.running = append(s.running, svc)
	s.mu.Unlock()
	s.wg.Go(func() {
		defer close(svc.ended)
		defer cancel()
		svc.result, svc.err = p.Wait()
	})
	return nil
}

// baseEnv is what every program gets of our environment: enough to find tools and a temporary folder, no option of ours
// that was meant for another.
func baseEnv() []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return env
}

// Address waits until the named server has written its address file and returns host:port.
func (s *Stack) Address(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(s.AddressFile(name)); err == nil && len(b) > 0 {
			return strings.TrimSpace(string(b)), nil
		}
		select {
		case <-tick.C:
		case <-s.Ended(name):
			return "", s.Failure(name)
		case <-ctx.Done():
			return "", exitcode.New(exitcode.Internal, "%s did not listen within %s; see %s", name, startLimit, s.Path("logs", name+".log"))
		}
	}
}

// AddressFile is where the named server writes its address.
func (s *Stack) AddressFile(name string) string { return s.Path(name + ".address") }

// Ended is closed when the named program has ended; a program that was never started has ended.
func (s *Stack) Ended(name string) <-chan struct{} {
	if svc := s.find(name); svc != nil {
		return svc.ended
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Result is how the named program ended. It is to be asked after Ended.
func (s *Stack) Result(name string) (proc.Result, error) {
	svc := s.find(name)
	if svc == nil {
		return proc.Result{}, fmt.Errorf("%s was never started", name)
	}
	<-svc.ended
	return svc.result, svc.err
}

// Failure is the error of a program that ended when it should not have, with the last line of its log.
func (s *Stack) Failure(name string) error {
	res, err := s.Result(name)
	if err != nil {
		return fmt.Errorf("running %s: %w", name, err)
	}
	log := s.Path("logs", name+".log")
	if res.Signal != "" {
		return exitcode.WithNext(exitcode.New(exitcode.Internal, "%s was ended by a signal from outside (%s)", name, res.Signal),
			"start again; its log is "+log)
	}
	f, ok := exitcode.ByCode(res.ExitCode)
	if !ok || f == exitcode.OK {
		f = exitcode.Internal
	}
	last := lastLine(log)
	err = exitcode.New(f, "%s ended with status %d: %s", name, res.ExitCode, last)
	if strings.HasSuffix(last, ")") && strings.Contains(last, " ("+f.Name+": ") { // it has said the next step itself
		return exitcode.WithNext(err, "")
	}
	return err
}

func (s *Stack) find(name string) *service {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The latest of a name: a restarted program has the same.
	for _, svc := range slices.Backward(s.running) {
		if svc.name == name {
			return svc
		}
	}
	return nil
}

// PID is the process id of the named program, 0 when it was never started.
func (s *Stack) PID(name string) int {
	if svc := s.find(name); svc != nil {
		return svc.pid
	}
	return 0
}

// Stop ends one program and everything it started: SIGTERM, grace, SIGKILL.
func (s *Stack) Stop(name string) {
	if svc := s.find(name); svc != nil {
		svc.cancel()
		<-svc.ended
	}
}

// Kill ends one program as a crash does, with SIGKILL, and waits for its end and that of what it has started.
func (s *Stack) Kill(name string) error {
	svc := s.find(name)
	if svc == nil {
		return fmt.Errorf("%s was never started", name)
	}
	if err := syscall.Kill(svc.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	<-svc.ended
	return nil
}

// StopAll ends all programs in the reverse order of their start, then lets go of the lifeline, so that whoever still holds
// it ends too.
func (s *Stack) StopAll() {
	s.mu.Lock()
	all := slices.Clone(s.running)
	s.mu.Unlock()
	for _, svc := range slices.Backward(all) {
		svc.cancel()
		<-svc.ended
	}
	_ = s.keepAlive.Close()
	_ = s.lifeline.Close()
	s.wg.Wait()
}

// lastLine is the last line of a log that says something, shortened.
func lastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	line := lines[len(lines)-1]
	if line == "" {
		return "it said nothing"
	}
	return line[:min(len(line), 1000)]
}
