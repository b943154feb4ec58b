package stagein

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
	"tfpilot/internal/proc"
	"tfpilot/internal/rangefile"
)

// What xrdcp 5 ends with.
const (
	xrdConnection = 51 // nobody there, or a connection that broke
	xrdSilence    = 52 // authentication, or a request that nobody answered
)

// run runs one of the client's programs; the error says what its failure means, and again whether another try makes sense.
func (c *Cache) run(ctx context.Context, name, program string, args []string, stdout io.Writer) (again bool, err error) {
	silence := cmp.Or(c.cfg.XRootD.Silence, min(20*time.Second, c.cfg.Patience))
	res, said, err := c.cfg.XRootD.Run(ctx, silence, program, args, nil, stdout)
	switch {
	case errors.Is(err, ErrSilent):
		return true, exitcode.New(exitcode.DataUnreachable, "fetching %s: %w", name, err)
	case err != nil || res.ExitCode == 0:
		return false, err
	}
	return meaning(name, filepath.Base(program), res, said)
}

// meaning is the place of a failure of the client in the table, by its exit status and what it says.
func meaning(name, program string, res proc.Result, said Said) (again bool, err error) {
	err = fmt.Errorf("fetching %s: %s ended with status %d%s", name, program, res.ExitCode, said.LastWords())
	switch {
	case said.Has("[3011]", "no such file"):
		return false, exitcode.Wrap(exitcode.DataMissing, err)
	case said.Unauthorized():
		return false, exitcode.WithNext(exitcode.Wrap(exitcode.NoCredential, err), "see whether the token (--input-token-file) or proxy is there, is not over, and may read this folder")
	case said.Untrusted():
		return false, exitcode.WithNext(exitcode.Wrap(exitcode.DataUnreachable, err), rangefile.NextUntrusted)
	}
	again = res.ExitCode == xrdConnection || res.ExitCode == xrdSilence || res.Signal != "" || said.Has("connection error", "operation expired", "socket", "timeout")
	return again, exitcode.Wrap(exitcode.DataUnreachable, err)
}

// persist repeats what may pass for as long as the patience.
func (c *Cache) persist(ctx context.Context, name string, progress func() int64, try func() (again bool, err error)) error {
	last, reached := time.Now(), progress()
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		again, err := try()
		if p := progress(); p > reached {
			last, reached = time.Now(), p
		}
		if err == nil || !again || time.Since(last)+wait > c.cfg.Patience {
			return err
		}
		c.cfg.Logger.InfoContext(ctx, "input is fetched again", slog.String("file", name), logging.Err(err))
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

// openXRootD asks xrdfs for what is not known of a file. xrdcp itself compares nothing when it writes to a pipe.
func (c *Cache) openXRootD(ctx context.Context, f File, u *url.URL) (source, error) {
	// As it is written: nothing in such an address is escaped.
	_, file, _ := strings.Cut(f.URL, "://")
	file = "/" + strings.TrimLeft(file[strings.IndexByte(file, '/'):], "/")
	name, server := rangefile.Name(u), u.Scheme+"://"+u.Host+"/"
	xrdcp, err := exec.LookPath(c.cfg.XRootD.Program)
	if err != nil {
		return source{}, exitcode.WithNext(exitcode.New(exitcode.SiteNoProgram, "fetching %s: %w", name, err),
			"install xrootd-client (--input-xrdcp), or name an https door of "+server+" (--input-doors)")
	}
	src := source{name: name, size: f.SizeBytes, adler32: rangefile.Adler32(f.Adler32)}
	if src.size == 0 {
		text, err := c.ask(ctx, name, xrdcp, server, "stat", file)
		if err != nil {
			return source{}, err
		}
		if src.size, err = StatSize(text); err != nil {
			return source{}, exitcode.New(exitcode.DataUnreachable, "fetching %s: %w", name, err)
		}
	}
	if src.adler32 == "" {
		// Not every server has one.
		if text, err := c.ask(ctx, name, xrdcp, server, "query", "checksum", file); err == nil {
			src.adler32 = Checksum(text)
		} else if ctx.Err() != nil {
			return source{}, err
		}
	}
	src.copyTo = func(ctx context.Context, begin func() (io.Writer, error)) error {
		var moved int64
		return c.persist(ctx, name, func() int64 { return moved }, func() (bool, error) {
			w, err := begin()
			if err != nil {
				return false, err
			}
			return c.run(ctx, name, xrdcp, []string{"--nopbar", "--silent", "--force", server + file, "-"},
				writerFunc(func(p []byte) (int, error) {
					moved += int64(len(p))
					return w.Write(p)
				}))
		})
	}
	return src, nil
}

// ask runs xrdfs, which is installed beside xrdcp.
func (c *Cache) ask(ctx context.Context, name, xrdcp, server string, args ...string) (string, error) {
	var text string
	err := c.persist(ctx, name, func() int64 { return 0 }, func() (bool, error) {
		out := proc.NewCapture(4<<10, 4<<10)
		again, err := c.run(ctx, name, filepath.Join(filepath.Dir(xrdcp), "xrdfs"), append([]string{server}, args...), out)
		text = out.String()
		return again, err
	})
	return text, err
}
