package stagein_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stagein"
)

// client writes an xrdcp and an xrdfs that do as the scripts say.
func client(t *testing.T, xrdcp, xrdfs string) stagein.XRootD {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{"xrdcp": xrdcp, "xrdfs": xrdfs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	return stagein.XRootD{Program: filepath.Join(dir, "xrdcp")}
}

const stat5 = `case $2 in stat) printf 'Path: %s\nSize:   5\n' "$3";; query) echo "adler32 062c0215";; esac` // of "hello"

func TestXrdcpFillsTheCacheAndGetsTheTokenAsAFile(t *testing.T) {
	t.Parallel()
	x := client(t, `[ "$BEARER_TOKEN_FILE" = /the/token ] && [ "$X509_CERT_DIR" = /the/ca ] && [ "$4 $5" = "root://h:1094//d/a%20b -" ] && printf hello`, stat5)
	x.TokenFile, x.CADir = "/the/token", "/the/ca"
	c, _ := newCache(t, 1<<20, stagein.Config{XRootD: x})
	for _, url := range []string{"root://h:1094//d/a%20b", "root://h:1094/d/a%20b"} {
		l := get(t, c, stagein.File{URL: url})
		if b, err := os.ReadFile(l.Path); string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		l.Release()
	}
}

func TestWhatXrdcpSaysHasItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		xrdcp, xrdfs string
		want         exitcode.Failure
		words        string
	}{
		"missing":       {"", `echo '[ERROR] Server responded with an error: [3011] No such file' >&2; exit 54`, exitcode.DataMissing, "3011"},
		"denied":        {`echo '[3010] Unable to open; Permission denied' >&2; exit 54`, stat5, exitcode.NoCredential, "3010"},
		"refused token": {`echo 'Run: [FATAL] Auth failed: ?authz=Bearer%20s3cret' >&2; exit 52`, stat5, exitcode.NoCredential, "Auth failed"},
		"untrusted":     {`echo '[FATAL] TLS error: certificate verify failed' >&2; exit 51`, stat5, exitcode.DataUnreachable, "certificate"},
		"nobody":        {`echo 'Run: [FATAL] Connection error' >&2; exit 51`, stat5, exitcode.DataUnreachable, "Connection error"},
		"short":         {`printf hell`, stat5, exitcode.DataCorrupt, "4 of 5 bytes"},
		"long":          {`printf hello,; exec sleep 100`, stat5, exitcode.DataCorrupt, "longer than the 5 bytes"},
		"wrong":         {`printf jello`, stat5, exitcode.DataCorrupt, "should have 062c0215"},
		"silent":        {`printf hel; exec sleep 100`, stat5, exitcode.DataUnreachable, "nothing moved"},
		"no size":       {"", `echo hm`, exitcode.DataUnreachable, "how long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := client(t, c.xrdcp, c.xrdfs)
			x.Silence = 10 * time.Second
			if name == "silent" {
				x.Silence = 200 * time.Millisecond
			}
			cache, dir := newCache(t, 1<<20, stagein.Config{XRootD: x, Patience: time.Millisecond})
			f := stagein.File{URL: "root://h//x"}
			mustFail(t, cache, dir, f, c.want, c.words)
			if _, err := cache.Get(t.Context(), f); strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the secret is in %v", err)
			}
		})
	}
}

func TestWhatBrokeOffIsFetchedAgainFromItsBeginning(t *testing.T) {
	t.Parallel()
	x := client(t, `[ -e "$0.twice" ] && exec printf hello; [ ! -e "$0.once" ] || : >"$0.twice"; : >"$0.once"; printf hel; exit 51`, stat5)
	c, _ := newCache(t, 1<<20, stagein.Config{XRootD: x})
	l := get(t, c, stagein.File{URL: "root://h//x", SizeBytes: 5, Adler32: "62c0215"})
	defer l.Release()
	if b, err := os.ReadFile(l.Path); string(b) != "hello" || l.MovedBytes != 11 {
		t.Errorf("%q, %v, %d bytes moved", b, err, l.MovedBytes)
	}
}

func TestANodeWithoutXrdcpSaysSoAndWhatElseWorks(t *testing.T) {
	t.Parallel()
	c, _ := newCache(t, 1<<20, stagein.Config{XRootD: stagein.XRootD{Program: "no-such-xrdcp"}})
	_, err := c.Get(t.Context(), stagein.File{URL: "root://h//x"})
	if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(exitcode.Next(err), "--input-doors") {
		t.Errorf("%v (%s)", err, exitcode.Next(err))
	}
}
