package stageout_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
)

// programs are an xrdcp and an xrdfs that do as their scripts say.
func programs(t *testing.T, xrdcp, xrdfs string) stageout.Store {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{"xrdcp": xrdcp, "xrdfs": xrdfs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c, err := stageout.NewClient(stageout.Access{Program: filepath.Join(dir, "xrdcp"), TokenFile: tokenFile(t, "t0k3n")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := place(t, "roots://door:1094//out")
	s, err := c.Store(p, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What servers cannot easily be brought to say in a test.
func TestARefusalOfXRootDSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const missing = `echo "[ERROR] Server responded with an error: [3011] Unable to locate; no such file or directory" >&2; exit 54`
	for said, c := range map[string]struct {
		want exitcode.Failure
		is   error
	}{
		"[ERROR] Server responded with an error: [3009] no space left on device":  {exitcode.OutputFailed, syscall.ENOSPC},
		"[ERROR] Server responded with an error: [3021] quota exceeded":           {exitcode.OutputFailed, syscall.EDQUOT},
		"[ERROR] Server responded with an error: [3025] file system is read only": {exitcode.OutputFailed, syscall.EROFS},
		"[ERROR] Server responded with an error: [3010] permission denied":        {exitcode.NoCredential, nil},
		"[FATAL] Auth failed: No protocols left to try":                           {exitcode.NoCredential, nil},
		"[FATAL] TLS error: certificate verify failed":                            {exitcode.BadConfig, nil},
		"[ERROR] Server responded with an error: [3011] no such file":             {exitcode.OutputFailed, fs.ErrNotExist},
	} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			s := programs(t, `cat >/dev/null; echo "`+said+` ?authz=Bearer%20s3cr3t" >&2; exit 54`, missing)
			_, err := stageout.Deliver(t.Context(), s, []stageout.File{file("7/a", "x")}, stageout.Config{})
			if got := exitcode.From(err); got != c.want || c.is != nil && !errors.Is(err, c.is) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: %v", got.Name, err)
			}
		})
	}
}

func TestATokenReachesTheClientOfXRootDByItsFile(t *testing.T) {
	t.Parallel()
	seen := filepath.Join(t.TempDir(), "seen")
	s := programs(t, "", `{ echo "$@"; env; cat "$BEARER_TOKEN_FILE"; } >>`+seen+"; exit 1")
	if _, _, err := s.Find(t.Context(), "7/a"); err == nil {
		t.Error("it was found")
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "roots://door:1094/ stat /out/7/a\n") || strings.Count(string(text), "t0k3n") != 1 || !strings.HasSuffix(string(text), "t0k3n") {
		t.Errorf("%s", text)
	}
}

func TestAMissingClientOfXRootDIsTheSitesFault(t *testing.T) {
	t.Parallel()
	c, err := stageout.NewClient(stageout.Access{Program: "/no/such/xrdcp"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := place(t, "root://door//out")
	_, err = c.Store(p, p)
	if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(exitcode.Next(err), "xrootd-client") || c.Check(p) == nil || c.Check(place(t, "/x")) != nil {
		t.Error(err)
	}
}
