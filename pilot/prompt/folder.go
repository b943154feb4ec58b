package prompt

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tfpilot/internal/exitcode"
)

// Sweep removes those of the files that lie within a job's folder: the whole of it becomes the job's log, for many to read.
// Files elsewhere are others', and one that is not there is well removed.
func Sweep(folder string, files ...string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return exitcode.Wrap(exitcode.Internal, err)
	}
	var errs []error
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil || file == "" {
			continue
		}
		if inside, err := filepath.Rel(folder, path); err != nil || !filepath.IsLocal(inside) || inside == "." {
			continue
		}
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, exitcode.New(exitcode.SiteNoSpace, "removing what must not be in the job's log: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Secrets are the files that may hold one, as the environment of a job names them.
func Secrets(env func(string) string) []string {
	return []string{
		env("PANDA_AUTH_DIR"), filepath.Join(env("PANDA_AUTH_DIR"), env("PANDA_AUTH_TOKEN")), env("OIDC_AUTH_TOKEN_FILE"), env("X509_USER_PROXY"),
		env(ConfEnv), env("TFPILOT_TOKEN_FILE"), env("TFPILOT_BROKER_CONFIG"), "prompt.conf", "x509_proxy",
	}
}

// Log is where a job logs: the PanDA pilot takes a line with CRITICAL on stdout for the reason of a failure, and our lines
// quote payloads.
func Log(stdout io.Writer) io.Writer { return calm{stdout} }

type calm struct{ next io.Writer }

func (c calm) Write(b []byte) (int, error) {
	if _, err := c.next.Write(bytes.ReplaceAll(b, []byte("CRITICAL"), []byte("critical"))); err != nil {
		return 0, err
	}
	return len(b), nil
}
