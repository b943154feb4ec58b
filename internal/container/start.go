package container

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// launch is what a command line is made from, and what is made of it.
type launch struct {
	*Container
	runtime Runtime
	// word is said by the entry when it has come inside; name is that of the container where it has one.
	word, name string
	dir        string
	binds      []Bind
	env        []string // of the program
	argv       []string
	terminal   bool
	// first says that the entry is process 1 of a namespace.
	first bool

	args    []string // of the runtime
	outside []string // the runtime's own environment
}

// add puts words on the command line.
func (l *launch) add(words ...string) { l.args = append(l.args, words...) }

// end puts the image and what runs in it on the command line.
func (l *launch) end(image ...string) {
	l.add(image...)
	l.add(l.program()...)
}

// program is what runs inside.
func (l *launch) program() []string {
	how := entryBecomes
	if l.first {
		how = entryStays
	}
	return append([]string{entry, how, l.word}, l.argv...)
}

// Start is a command made ready to run inside.
type Start struct {
	// Command is to be run in place of the one that was given.
	Command proc.Command

	heard *announced
	what  string // for messages
	after *proc.Command
}

// Start makes a command ready: its folder is bound, to be written to, and binds. Its program is looked up in the image.
func (c *Container) Start(cmd proc.Command, binds ...Bind) (*Start, error) {
	word := rand.Text()
	l, f, err := c.launch(cmd, word, false, binds)
	if err != nil {
		return nil, err
	}
	s := &Start{Command: cmd, heard: newAnnounced(word, cmd.Stderr), what: strings.TrimPrefix(cmd.Path+" in "+c.String(), " in ")}
	s.Command.Path, s.Command.Args, s.Command.Env, s.Command.Stderr, s.Command.Began = f.path, l.args, l.outside, s.heard, s.Err
	if f.keeps {
		s.after = &proc.Command{Path: f.path, Args: []string{"rm", "--force", l.name}, Env: outside(c.env), Dir: "/"}
	}
	return s, nil
}

// Shell makes a command ready that a person talks to: it has the terminal of this process.
func (c *Container) Shell(cmd proc.Command, binds ...Bind) (proc.Command, error) {
	l, f, err := c.launch(cmd, "", true, binds)
	if err != nil {
		return proc.Command{}, err
	}
	cmd.Path, cmd.Args, cmd.Env = f.path, l.args, l.outside
	return cmd, nil
}

func (c *Container) launch(cmd proc.Command, word string, terminal bool, binds []Bind) (*launch, found, error) {
	f := c.current()
	l := &launch{
		Container: c, runtime: f.runtime, word: word, name: "tfpilot-" + strings.ToLower(rand.Text()), dir: cmd.Dir, terminal: terminal,
		env: last(cmd.Env), outside: outside(c.env), argv: append([]string{cmd.Path}, cmd.Args...),
	}
	if cmd.Path == "" {
		l.argv = nil
	}
	own := []Bind{{Source: cmd.Dir, Target: cmd.Dir, Write: true}, {Source: c.self, Target: entry}}
	all := slices.Concat(own, c.binds, binds)
	for i, b := range all {
		again := slices.ContainsFunc(all[:i], func(other Bind) bool { return other.Target == b.Target })
		if again || b.Optional && (seen(all, b) || !there(b.Source)) {
			continue
		}
		l.binds = append(l.binds, b)
	}
	// What lies in another comes after it.
	slices.SortStableFunc(l.binds, func(a, b Bind) int { return strings.Count(a.Target, "/") - strings.Count(b.Target, "/") })
	if err := f.line(l); err != nil {
		return nil, f, failure(err, "", "entering %s: %w", c, err)
	}
	return l, f, nil
}

// seen says that a bind is seen already, in another one that it lies in.
func seen(all []Bind, b Bind) bool {
	return b.Target == "/" || slices.ContainsFunc(all, func(outer Bind) bool {
		return outer.Source == outer.Target && strings.HasPrefix(b.Target, outer.Target+"/") && (!outer.Optional || there(outer.Source))
	})
}

// Sees says that a file of the node is seen inside, under its own path, when binds are.
func (c *Container) Sees(file string, binds ...Bind) bool {
	return seen(slices.Concat(c.binds, binds), Bind{Target: filepath.Clean(file)})
}

func there(path string) bool {
	if path == "" || !filepath.IsAbs(path) {
		return false
	}
	_, err := stat(path)
	return err == nil
}

// Err is what kept the program from being started, nil when it was. It takes the status of the runtime for what it says of the program:
// like a shell's, it tells a signal. It is the Began of Command, which a keeper asks; nobody else has to then.
func (s *Start) Err(r *proc.Result) error {
	if number, ok := exitcode.StatusSignal(r.ExitCode); ok {
		r.ExitCode, r.Signal = -1, syscall.Signal(number).String()
	}
	started, said, why := s.heard.finish()
	switch {
	case !started:
		return notStarted(s.what, said, *r)
	case why != "":
		err := exitcode.New(exitcode.SiteNoProgram, "starting %s: %s", s.what, why)
		return exitcode.WithNext(err, "mend the command in the payload's TOML, or name an image that has it")
	}
	return nil
}

// After is what removes a container that may have outlived who started it, nil where none can.
func (s *Start) After() *proc.Command { return s.after }

// Try starts something in the container that ends at once, in a folder of the caller's, and gives up runtimes with which that does
// not work as long as there are others. run runs a command, as a keeper does.
func (c *Container) Try(ctx context.Context, dir string, run func(context.Context, proc.Command) (proc.Result, error), binds ...Bind) error {
	for {
		s, err := c.Start(proc.Command{Dir: dir, Env: []string{"HOME=" + dir}}, binds...)
		if err == nil {
			var r proc.Result
			r, err = run(ctx, s.Command)
			if err == nil && r.ExitCode != 0 {
				err = failure(nil, "", "%s works, but ended with status %d where 0 was to be expected", c, r.ExitCode)
			}
			s.clean(ctx, run, err)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !c.next(err) {
			if why := c.Why(); why != "" {
				return fmt.Errorf("%w (%s)", err, why)
			}
			return err
		}
	}
}

func (s *Start) clean(ctx context.Context, run func(context.Context, proc.Command) (proc.Result, error), err error) {
	if err != nil && s.after != nil {
		_, _ = run(ctx, *s.after) // what cannot be removed shows in the runtime's own list
	}
}
