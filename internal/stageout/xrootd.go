package stageout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/stagein"
)

// xrootd is a store on a server of root:// or roots://, by the programs of XRootD's client. Arguments are plain: xrdfs puts
// together what it gets, and takes it apart at blanks again.
type xrootd struct {
	at      Place
	program string
	client  stagein.XRootD
	silence time.Duration
}

var _ Store = (*xrootd)(nil)

// statIsDir is where xrdfs stat says that it is no file.
var statIsDir = regexp.MustCompile(`(?m)^Flags:.*\bIsDir\b`)

// server is what xrdfs is told.
func (x *xrootd) server() string { return x.at.scheme + "://" + x.at.host + "/" }

func (x *xrootd) path(name string) string { return x.at.Join(name).dir }

// Find asks twice: a checksum is not told by every server.
func (x *xrootd) Find(ctx context.Context, name string) (sizeBytes int64, adler32 string, err error) {
	text, err := x.ask(ctx, "stat", x.path(name))
	if err != nil {
		return 0, "", err
	}
	if statIsDir.MatchString(text) {
		return 0, "", fmt.Errorf("%s is there, and no plain file: %w", name, syscall.EISDIR)
	}
	if sizeBytes, err = stagein.StatSize(text); err != nil {
		return 0, "", fmt.Errorf("looking at %s: %w", name, err)
	}
	text, err = x.ask(ctx, "query", "checksum", x.path(name))
	if ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) {
		return 0, "", err
	}
	if err == nil {
		adler32 = stagein.Checksum(text)
	}
	return sizeBytes, adler32, nil
}

// Write has the server drop the file when the copy breaks off (posc), also when this process is killed.
func (x *xrootd) Write(ctx context.Context, name string, f File) error {
	from, err := f.Open()
	if err != nil {
		return settled(err)
	}
	defer func() { _ = from.Close() }()
	if _, err := x.run(ctx, x.program, []string{"--posc", "--nopbar", "-", x.server() + x.path(name)}, io.LimitReader(from, f.SizeBytes+1)); err != nil {
		return err
	}
	size, sum, err := x.Find(ctx, name)
	if err != nil {
		return err
	}
	return arrived(f, size, sum)
}

// Rename looks first, because a server's rename writes over what is there: of two attempts that come to this within the same
// moment, the second one wins.
func (x *xrootd) Rename(ctx context.Context, from, to string, replace bool) error {
	if !replace {
		if _, err := x.ask(ctx, "stat", x.path(to)); err == nil {
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_, err := x.ask(ctx, "mv", x.path(from), x.path(to))
	if replace && errors.Is(err, fs.ErrExist) { // not every file system behind a server writes over
		if err = x.Remove(ctx, to); err == nil {
			_, err = x.ask(ctx, "mv", x.path(from), x.path(to))
		}
	}
	return err
}

// Remove removes a file.
func (x *xrootd) Remove(ctx context.Context, name string) error {
	if _, err := x.ask(ctx, "rm", x.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (x *xrootd) ask(ctx context.Context, args ...string) (string, error) {
	program := "xrdfs"
	if dir := filepath.Dir(x.program); dir != "." {
		program = filepath.Join(dir, program)
	}
	return x.run(ctx, program, append([]string{x.server()}, args...), nil)
}

// run runs one of the client's programs.
func (x *xrootd) run(ctx context.Context, program string, args []string, stdin io.Reader) (string, error) {
	if stdin != nil {
		stdin = reader{ctx, stdin}
	}
	stdout := proc.NewCapture(4<<10, 4<<10)
	res, said, err := x.client.Run(ctx, x.silence, program, args, stdin, stdout)
	if err != nil || res.ExitCode == 0 {
		return stdout.String(), err
	}
	return "", meaning(filepath.Base(program), res, said)
}

// refusals are what the client prints, in small letters, with the number of the server's answer.
var refusals = []struct {
	texts []string
	err   error
}{
	{[]string{"[3011]", "no such file"}, fs.ErrNotExist},
	{[]string{"[3018]", "file exists"}, fs.ErrExist},
	{[]string{"[3009]", "no space left"}, syscall.ENOSPC},
	{[]string{"[3021]", "quota exceeded"}, syscall.EDQUOT},
	{[]string{"[3025]", "read-only file system"}, syscall.EROFS},
	{[]string{"[3015]", "[3016]", "is a directory"}, syscall.EISDIR},
}

// meaning is what a failure of the client means, by what it says.
func meaning(program string, res proc.Result, said stagein.Said) error {
	err := fmt.Errorf("%s ended with status %d%s", program, res.ExitCode, said.LastWords())
	for _, r := range refusals {
		if said.Has(r.texts...) {
			return fmt.Errorf("%w (%w)", err, r.err)
		}
	}
	switch {
	case said.Unauthorized():
		return exitcode.WithNext(exitcode.Wrap(exitcode.NoCredential, err), "see whether the token (--output-token-file) or proxy is there, is not over, and may write to this folder")
	case said.Untrusted():
		return exitcode.WithNext(exitcode.Wrap(exitcode.BadConfig, err), rangefile.NextUntrusted)
	}
	return err
}
