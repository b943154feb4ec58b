package stagein

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
	"tfpilot/internal/proc"
	"tfpilot/internal/rangefile"
)

// XRootD is how the programs of its client are run.
type XRootD struct {
	// Program is xrdcp; xrdfs is looked for beside it.
	Program string
	// TokenFile and CADir are handed over as BEARER_TOKEN_FILE and X509_CERT_DIR; empty leaves these as they are here.
	TokenFile, CADir string
	// Silence ends a try on which nothing comes for so long (default 20 s, or the patience when that is less).
	Silence time.Duration
}

// What xrdcp 5 ends with.
const (
	xrdConnection = 51 // nobody there, or a connection that broke
	xrdSilence    = 52 // authentication, or a request that nobody answered
)

// clientVariables is what the client may see of ours: its settings, and credentials of the kinds that XRootD knows.
var clientVariables = regexp.MustCompile(`^(PATH|LD_LIBRARY_PATH|HOME|TMPDIR|LANG|LC_ALL|TZ|XRD_\w+|Xrd\w+|X509_\w+|BEARER_TOKEN\w*|KRB5\w+|XDG_RUNTIME_DIR)=`)

// statSize is where xrdfs stat says how long a file is.
var statSize = regexp.MustCompile(`(?m)^Size:\s+(\d+)`)

// Environment has the client give up sooner than the minutes that are its own way, since we try again ourselves.
func (x XRootD) Environment(silence time.Duration) []string {
	seconds := strconv.Itoa(max(1, int(silence/time.Second)))
	env := []string{
		"XRD_CONNECTIONWINDOW=" + seconds, "XRD_CONNECTIONRETRY=1", "XRD_REQUESTTIMEOUT=" + seconds,
		"XRD_STREAMTIMEOUT=" + seconds, "XRD_TIMEOUTRESOLUTION=1",
	}
	for _, v := range os.Environ() {
		// A token in a variable would be taken before the one in our file.
		if clientVariables.MatchString(v) && (x.TokenFile == "" || !strings.HasPrefix(v, "BEARER_TOKEN=")) {
			env = append(env, v) // what the site says wins
		}
	}
	if x.TokenFile != "" {
		env = append(env, "BEARER_TOKEN_FILE="+x.TokenFile)
	}
	if x.CADir != "" {
		env = append(env, "X509_CERT_DIR="+x.CADir)
	}
	return env
}

// run runs one of the client's programs. It ends when nothing has been printed for the silence; the error says what that means, and
// again whether another try makes sense.
func (c *Cache) run(ctx context.Context, name, program string, args []string, stdout io.Writer) (again bool, err error) {
	silence := cmp.Or(c.cfg.XRootD.Silence, min(20*time.Second, c.cfg.Patience))
	errSilent := fmt.Errorf("nothing came for %s", silence)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	var failed atomic.Pointer[error]
	stderr := proc.NewCapture(4<<10, 4<<10)
	res, err := proc.Run(ctx, proc.Command{
		Path: program, Args: args, Env: c.cfg.XRootD.Environment(silence), Stderr: stderr, DiesWithParent: true,
		Stdout: writerFunc(func(p []byte) (int, error) {
			if failed.Load() != nil {
				return len(p), nil
			}
			watch.Reset(silence)
			if _, err := stdout.Write(p); err != nil {
				failed.Store(&err)
				cancel(err)
			}
			return len(p), nil
		}),
	})
	switch why := context.Cause(ctx); {
	case err != nil:
		return false, exitcode.WithNext(err, "install xrootd-client (--input-xrdcp), or name an https door of "+name+" (--input-doors)")
	case failed.Load() != nil:
		return false, *failed.Load()
	case errors.Is(why, errSilent):
		return true, exitcode.New(exitcode.DataUnreachable, "fetching %s: %w", name, errSilent)
	case why != nil:
		return false, why
	case res.ExitCode == 0:
		return false, nil
	}
	return meaning(name, filepath.Base(program), res, stderr.String())
}

// meaning is the place of a failure of the client in the table, by its exit status and what it says.
func meaning(name, program string, res proc.Result, stderr string) (again bool, err error) {
	words := lastWords(stderr)
	fail := func(f exitcode.Failure) error {
		return exitcode.New(f, "fetching %s: %s ended with status %d%s", name, program, res.ExitCode, words)
	}
	has := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(strings.ToLower(stderr), t) {
				return true
			}
		}
		return false
	}
	switch {
	case has("[3011]", "no such file"):
		return false, fail(exitcode.DataMissing)
	case has("auth failed", "[3010]", "permission denied", "not authorized", "[3030]"):
		return false, exitcode.WithNext(fail(exitcode.NoCredential), "see whether the token (--input-token-file) or proxy is there, is not over, and may read this folder")
	case has("certificate", "tls error"):
		return false, exitcode.WithNext(fail(exitcode.BadConfig), "if the server is the right one, name the folder of its authorities by --input-ca-dir or X509_CERT_DIR")
	case res.ExitCode == xrdConnection, res.ExitCode == xrdSilence, res.Signal != "", has("connection error", "operation expired", "socket", "timeout"):
		return true, fail(exitcode.DataUnreachable)
	}
	return false, fail(exitcode.DataUnreachable)
}

// lastWords is the last line of what was printed, without anything that looks like a credential.
func lastWords(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "?"))
	line := text[strings.LastIndexAny(text, "\r\n")+1:]
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	const most = 200
	if line = strings.TrimSpace(line); line == "" {
		return ""
	}
	return ": " + logging.Redact(line[:min(len(line), most)])
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
		found := statSize.FindStringSubmatch(text)
		if found == nil {
			return source{}, exitcode.New(exitcode.DataUnreachable, "fetching %s: xrdfs stat does not say how long it is", name)
		}
		if src.size, err = strconv.ParseInt(found[1], 10, 64); err != nil {
			return source{}, exitcode.New(exitcode.DataUnreachable, "fetching %s: %w", name, err)
		}
	}
	if src.adler32 == "" {
		// Not every server has one.
		if text, err := c.ask(ctx, name, xrdcp, server, "query", "checksum", file); err == nil {
			if kind, sum, ok := strings.Cut(strings.TrimSpace(text), " "); ok && kind == "adler32" {
				src.adler32 = rangefile.Adler32(sum)
			}
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
	var out strings.Builder
	err := c.persist(ctx, name, func() int64 { return 0 }, func() (bool, error) {
		out.Reset()
		return c.run(ctx, name, filepath.Join(filepath.Dir(xrdcp), "xrdfs"), append([]string{server}, args...), &out)
	})
	return out.String(), err
}
