package stagein

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
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

// clientVariables is what the client may see of ours: its settings, and credentials of the kinds that XRootD knows.
var clientVariables = regexp.MustCompile(`^(PATH|LD_LIBRARY_PATH|HOME|TMPDIR|LANG|LC_ALL|TZ|XRD_\w+|Xrd\w+|X509_\w+|BEARER_TOKEN\w*|KRB5\w+|XDG_RUNTIME_DIR)=`)

// environment has the client give up sooner than the minutes that are its own way, since we try again ourselves.
func (x XRootD) environment(silence time.Duration) []string {
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

// NextInstall is what to do where the client is missing.
const NextInstall = "install xrootd-client (--input-xrdcp), or name an https door"

// ErrSilent says that nothing moved for too long.
var ErrSilent = errors.New("nothing moved")

// Run runs one of the client's programs. It ends when nothing has been read of stdin or written to stdout for the silence, and when
// stdout takes no more: with the error of that, then. A failure of the program is in its result, and in what it said.
func (x XRootD) Run(ctx context.Context, silence time.Duration, program string, args []string, stdin io.Reader, stdout io.Writer) (proc.Result, Said, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%w for %s", ErrSilent, silence)) })
	defer watch.Stop()
	if stdin != nil {
		stdin = Progress{stdin, func() { watch.Reset(silence) }}
	}
	var failed atomic.Pointer[error]
	stderr := proc.NewCapture(4<<10, 4<<10)
	res, err := proc.Run(ctx, proc.Command{
		Path: program, Args: args, Env: x.environment(silence), Stdin: stdin, Stderr: stderr, DiesWithParent: true,
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
	switch {
	case err != nil:
		return res, "", exitcode.WithNext(err, NextInstall)
	case failed.Load() != nil:
		return res, "", *failed.Load()
	case ctx.Err() != nil:
		return res, "", context.Cause(ctx)
	}
	return res, Said(stderr.String()), nil
}

// Progress tells of every read.
type Progress struct {
	io.Reader
	Moved func()
}

// Read is that of the reader.
func (p Progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.Moved()
	return n, err
}

// Said is what one of the client's programs, or a server, says of a failure.
type Said string

// Has says whether one of some texts, in small letters, is in it.
func (s Said) Has(texts ...string) bool {
	for _, t := range texts {
		if strings.Contains(strings.ToLower(string(s)), t) {
			return true
		}
	}
	return false
}

// Unauthorized says that a credential is missing or not good enough.
func (s Said) Unauthorized() bool {
	return s.Has("auth failed", "[3010]", "permission denied", "not authorized", "[3030]")
}

// Untrusted says that the server's certificate is not to be trusted.
func (s Said) Untrusted() bool { return s.Has("certificate", "tls error") }

// LastWords are its last line behind a colon, without anything that looks like a credential; empty when nothing was said.
func (s Said) LastWords() string {
	text := strings.TrimSpace(string(s))
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text[strings.LastIndexAny(text, "\r\n")+1:])
	if line = strings.TrimSpace(line); line == "" {
		return ""
	}
	line = logging.Redact(line)
	const most = 200
	return ": " + strings.ToValidUTF8(line[:min(len(line), most)], "?")
}

var statSize = regexp.MustCompile(`(?m)^Size:\s+(\d+)`)

// StatSize is how long a file is by what xrdfs stat has printed.
func StatSize(text string) (int64, error) {
	found := statSize.FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New("xrdfs stat does not say how long it is")
	}
	return strconv.ParseInt(found[1], 10, 64)
}

// Checksum is the adler32 by what xrdfs query checksum has printed; empty when that is another one, or none.
func Checksum(text string) string {
	kind, sum, _ := strings.Cut(strings.TrimSpace(text), " ")
	if kind != "adler32" {
		return ""
	}
	return rangefile.Adler32(sum)
}
