package wrappercmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/proc"
	"tfpilot/internal/program"
	"tfpilot/wrapper"
)

// sliceFile is where a shell finds what the program would find on stdin.
const sliceFile = "tfpilot-slice.json"

func shellCommand() *cli.Command {
	var cfg runConfig
	var made made
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "shell", Usage: "open a shell where the payload's program would run", ArgsUsage: "[SLICE.json] [COMMAND...]",
		Description: "Everything is as for the payload's program: the folder, the scrubbed environment with the variables of the slice, the input,\n" +
			"and the container if it has one. What the program would find on stdin is in " + sliceFile + ". The folder is removed when you\n" +
			"leave, unless --keep is given. With COMMAND, that is run instead of a shell.\n\n" +
			"Examples:\n" +
			"  wrapper shell --payload mine.toml slice.json\n" +
			"  wrapper shell --payload mine.toml --stf x.stf --frames 0-65 -- env\n\n" +
			"Exit status: that of the shell or command; 31 when it could not be started.",
		Flags: slices.Concat(made.flags(), bind.Flags()),
		Action: func(c *cli.Context) error {
			if err := bind.Load(c); err != nil {
				return err
			}
			return shell(c, cfg, made)
		},
	}
}

// shell makes a slice ready and has the person in the place of the program.
func shell(c *cli.Context, cfg runConfig, m made) error {
	var message, argv []string
	if argv = c.Args().Slice(); m.input == "" && len(argv) > 0 {
		message, argv = argv[:1], argv[1:]
	}
	if slices.Contains(message, "-") {
		return exitcode.New(exitcode.Usage, "stdin is the shell's: give the slice in a file")
	}
	s, err := readSlice(c, m, message)
	if err != nil {
		return err
	}
	cfg.Work.DataDir = cmp.Or(cfg.Work.DataDir, dataDir(strings.Join(message, ""), s))
	cfg.Work.LogDir = payloadlog.None
	v := visitor{c: c, argv: argv, kept: cfg.Work.Keep}
	cfg.Work.Enter = v.enter
	w, err := newWrapper(cfg)
	if err != nil {
		return err
	}
	var o wrapper.Outcome
	if _, err = w.Prepare(c.Context, 0); err == nil {
		o = w.Run(c.Context, s)
		err = o.Err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context), 10*time.Second)
	defer cancel()
	closed := w.Close(closing)
	switch {
	case v.err != nil:
		err = v.err
	case v.entered && v.status != 0:
		err = program.WithStatus(program.Quiet(errors.New("the shell ended so")), v.status)
	case v.entered:
		err = nil // what became of the slice is of no interest
	case err == nil:
		err = exitcode.New(exitcode.Usage, "payload %s starts no program for this slice: there is no place to be in", w.Identity().Name)
	}
	return errors.Join(err, closed)
}

// visitor is the person in the place of the program.
type visitor struct {
	c    *cli.Context
	argv []string
	kept bool

	entered bool
	status  int
	err     error
}

// enter runs what the person wants.
func (v *visitor) enter(ctx context.Context, e wrapper.Entrance) (r proc.Result, err error) {
	if v.entered { // a program that stays would be started anew
		return r, wrapper.ErrEntered
	}
	v.entered = true
	r, v.err = v.run(ctx, e)
	if v.status = r.ExitCode; r.Signal != "" {
		v.status = exitcode.Interrupted.Code
	}
	return r, v.err
}

func (v *visitor) run(ctx context.Context, e wrapper.Entrance) (r proc.Result, err error) {
	argv := v.argv
	if len(argv) == 0 {
		argv = []string{"/bin/sh"}
		if bash, err := os.Stat("/bin/bash"); err == nil && bash.Mode().IsRegular() {
			argv = []string{"/bin/bash"}
		}
		fmt.Fprintf(v.c.App.ErrWriter, "folder   %s%s\nprogram  %s\n", e.Program.Dir, v.fate(), quote(append([]string{e.Program.Path}, e.Program.Args...)))
	}
	if in, ok := e.Program.Stdin.(*bytes.Reader); ok { // others get their slices one after another
		body, err := io.ReadAll(in)
		if err == nil {
			err = os.WriteFile(filepath.Join(e.Program.Dir, sliceFile), body, 0o600)
		}
		if err != nil {
			return r, exitcode.New(exitcode.SiteNoSpace, "writing the slice: %w", err)
		}
		if len(v.argv) == 0 {
			fmt.Fprintf(v.c.App.ErrWriter, "stdin    %s\n", sliceFile)
		}
	}
	inside, err := e.Inside(argv)
	if err != nil {
		return r, err
	}
	inside.Stdin, inside.Stdout, inside.Stderr = v.c.App.Reader, v.c.App.Writer, v.c.App.ErrWriter
	if term, ok := os.LookupEnv("TERM"); ok {
		inside.Env = append(inside.Env, "TERM="+term)
	}
	return proc.Run(ctx, inside)
}

func (v *visitor) fate() string {
	if v.kept {
		return ""
	}
	return ", removed when you leave"
}

// quote shows words as a shell would take them.
func quote(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`&|;<>()*?[]#~{}!") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
