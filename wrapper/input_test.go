package wrapper_test

import (
	"bytes"
	"fmt"
	"hash/adler32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/testkit"
	"tfpilot/wrapper"
)

// storage has one file, of two megabytes, at /data/x.stf, and counts who read it.
func storage(t *testing.T) (url string, reads *atomic.Int32) {
	t.Helper()
	reads = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/data/x.stf" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.Method == http.MethodGet {
			reads.Add(1)
		}
		http.ServeContent(w, r, "x.bin", time.Time{}, bytes.NewReader(stored))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, reads
}

var stored = bytes.Repeat([]byte("tfpilot\n"), 1<<18)

// remote is a configuration with a cache of its own.
func remote(t *testing.T) wrapper.Config {
	t.Helper()
	return wrapper.Config{
		WorkDir: t.TempDir(),
		Input:   wrapper.InputConfig{Cache: filepath.Join(t.TempDir(), "cache"), HTTPHosts: []string{"127.0.0.1"}, Patience: time.Second},
	}
}

const countBytes = `n=$(wc -c <"$TFPILOT_INPUT") || exit 20; printf '{"counts":{"bytes":%d}}' "$n" >"$TFPILOT_RESULT"`

func TestAPayloadGetsARemoteFileAsAPathAndOnceForTheNode(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	cfg := remote(t)
	s := slice(t, fmt.Sprintf(`{"filename":"%s/data/x.stf","size":%d,"adler32":"%x"}`, url, len(stored), adler32.Checksum(stored)))
	for i, how := range []string{wrapper.InputFetched, wrapper.InputCached, wrapper.InputCached} {
		o := newWrapper(t, shell(countBytes), cfg).Run(t.Context(), s) // each as another pilot would
		mustBeDone(t, o)
		if o.Result.Counts["bytes"] != int64(len(stored)) || o.Input.How != how || (i == 0) != (o.Input.MovedBytes == int64(len(stored))) {
			t.Errorf("%d: %v, %+v", i, o.Result.Counts, o.Input)
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

func TestAPayloadThatReadsAddressesGetsTheAddress(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	spec := shell(`[ "$TFPILOT_INPUT" = "` + url + `/data/x.stf" ] && [ "$BEARER_TOKEN_FILE" = /the/token ] && echo "{}" >"$TFPILOT_RESULT"`)
	spec.Input = payloadfile.Input{As: payloadfile.InputURL, TokenFile: true}
	cfg := remote(t)
	cfg.Input.TokenFile = "/the/token"
	o := newWrapper(t, spec, cfg).Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf"}`))
	mustBeDone(t, o)
	if o.Input.How != wrapper.InputRemote || reads.Load() != 0 {
		t.Errorf("%+v, read %d times", o.Input, reads.Load())
	}
	spec = shell(`[ -z "$BEARER_TOKEN_FILE" ] && echo "{}" >"$TFPILOT_RESULT"`) // does not ask for it
	mustBeDone(t, newWrapper(t, spec, cfg).Run(t.Context(), slice(t, `{}`)))
}

func TestAPayloadThatReadsBothGetsWhatCostsLess(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	spec := shell(`case $TFPILOT_INPUT in http:*) kind=address;; *) kind=path;; esac; echo "{\"counts\":{\"$kind\":1}}" >"$TFPILOT_RESULT"`)
	spec.Input.As = payloadfile.InputAuto
	w := newWrapper(t, spec, remote(t))
	s := slice(t, `{"filename":"`+url+`/data/x.stf"}`)
	for i, kind := range []string{"address", "path", "path"} {
		o := w.Run(t.Context(), s)
		mustBeDone(t, o)
		if o.Result.Counts[kind] != 1 || o.Input.Reason == "" {
			t.Errorf("slice %d: %v, %+v", i, o.Result.Counts, o.Input)
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
	mustFail(t, w.Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf","size":7}`)), exitcode.DataCorrupt, "and should have 7")
}

func TestARelativeNameIsLookedUpWhereTheDataIs(t *testing.T) {
	t.Parallel()
	url, _ := storage(t)
	cfg := remote(t)
	cfg.DataDir = url + "/data/"
	mustBeDone(t, newWrapper(t, shell(countBytes), cfg).Run(t.Context(), slice(t, `{}`)))
	local := filepath.Join(t.TempDir(), "y.stf")
	if err := os.WriteFile(local, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newWrapper(t, shell(countBytes), cfg).Run(t.Context(), slice(t, `{"filename":"file://`+local+`"}`))
	mustBeDone(t, o)
	if o.Input.How != wrapper.InputLocal {
		t.Errorf("%+v", o.Input)
	}
}

func TestASliceNamesNoServerBeyondTheFence(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	cfg := remote(t)
	cfg.Input.Hosts = []string{"storage.example.org"}
	for _, as := range []payloadfile.InputAs{payloadfile.InputPath, payloadfile.InputURL, payloadfile.InputAuto} {
		spec := shell(countBytes)
		spec.Input.As = as
		mustFail(t, newWrapper(t, spec, cfg).Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf"}`)), exitcode.DataInvalid, "none of the hosts of --input-hosts")
	}
	if reads.Load() != 0 {
		t.Error("it was asked")
	}
	for _, allow := range []func(*wrapper.Config){
		func(c *wrapper.Config) { c.Input.Hosts = []string{"x", "127.0.0.1"} },
		func(c *wrapper.Config) { c.Input.Hosts = []string{strings.TrimPrefix(url, "http://")} },
		func(c *wrapper.Config) { c.DataDir = url + "/data" },
		func(c *wrapper.Config) { c.Input.Doors = []string{"root://h=" + url} },
	} {
		c := cfg
		allow(&c)
		mustBeDone(t, newWrapper(t, shell(countBytes), c).Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf"}`)))
	}
}

func TestADoorLeadsToTheSameFile(t *testing.T) {
	t.Parallel()
	url, _ := storage(t)
	for door, name := range map[string]string{
		"root://h:1094/=" + url:             "root://h//data/x.stf",
		"root://h=" + url + "/":             "roots://h:1094/data/x.stf",
		"root://h/eic/=" + url + "/data":    "root://h//eic/x.stf",
		"root://h//eic/a =" + url + "/data": "root://h//eic/a/x.stf",
	} {
		cfg := remote(t)
		cfg.Input.Doors = []string{"root://other=https://127.0.0.1:1", door}
		mustBeDone(t, newWrapper(t, shell(countBytes), cfg).Run(t.Context(), slice(t, `{"filename":"`+name+`"}`)))
	}
	cfg := remote(t)
	cfg.Input.Doors, cfg.Input.Xrdcp = []string{"root://h/eic=" + url}, "no-such-xrdcp"
	for _, name := range []string{"root://h//eicx/x.stf", "root://h:1095//eic/x.stf", "root://i//eic/x.stf"} {
		mustFail(t, newWrapper(t, shell(countBytes), cfg).Run(t.Context(), slice(t, `{"filename":"`+name+`"}`)), exitcode.SiteNoProgram, "no-such-xrdcp")
	}
}

func TestBadInputHasItsVerdictAndLeavesTheSlotAndTheCacheClean(t *testing.T) {
	t.Parallel()
	url, _ := storage(t)
	cfg := remote(t)
	w := newWrapper(t, shell(countBytes), cfg)
	for content, c := range map[string]struct {
		want  exitcode.Failure
		words string
	}{
		`{"filename":"` + url + `/data/none.stf"}`:                   {exitcode.DataMissing, "404"},
		`{"filename":"` + url + `/data/x.stf","size":5}`:             {exitcode.DataCorrupt, "should have 5"},
		`{"filename":"` + url + `/data/x.stf","adler32":"00000001"}`: {exitcode.DataCorrupt, "should have 00000001"},
		`{"filename":"http://` + testkit.Nobody(t) + `/x.stf"}`:      {exitcode.DataUnreachable, "connection refused"},
		`{"filename":"http://localhost:1/x.stf"}`:                    {exitcode.BadConfig, "plain http"},
		`{"filename":"https://u:s3cret@h/x.stf"}`:                    {exitcode.DataInvalid, "https://h/x.stf comes with a user"},
		`{"filename":"https://h/x.stf?authz=Bearer%20s3cret"}`:       {exitcode.DataInvalid, "query"},
		`{"filename":"root://h:1094"}`:                               {exitcode.DataInvalid, "names no file"},
		`{"filename":"s3://bucket/x.stf"}`:                           {exitcode.DataInvalid, "path, https"},
		`{"filename":"https://h/a/%2e%2e/x.stf"}`:                    {exitcode.DataInvalid, "upward"},
		`{"filename":"https://h/a` + "\\n" + `x.stf"}`:               {exitcode.DataInvalid, "control character"},
	} {
		o := w.Run(t.Context(), slice(t, content))
		mustFail(t, o, c.want, c.words)
		if strings.Contains(fmt.Sprint(o.Err, exitcode.Next(o.Err)), "s3cret") {
			t.Errorf("the secret is in %v", o.Err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(cfg.Input.Cache, "*", "*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	mustBeDone(t, w.Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf"}`)))
}

func TestAFileThatThePayloadFindsDamagedIsFetchedAgain(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	cfg := remote(t)
	for range 2 {
		w := newWrapper(t, shell("exit 21"), cfg)
		mustFail(t, w.Run(t.Context(), slice(t, `{"filename":"`+url+`/data/x.stf"}`)), exitcode.DataCorrupt, "status 21")
	}
	if n := reads.Load(); n != 2 {
		t.Errorf("read %d times, want 2", n)
	}
}

func TestOptionsOfInputThatMakeNoSenseAreNamed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *wrapper.Config){
		"--input-doors":       func(c *wrapper.Config) { c.Input.Doors = []string{"root://h->https://h"} },
		"--input-cache-gb":    func(c *wrapper.Config) { c.Input.CacheGB = -1 },
		"--input-stage-after": func(c *wrapper.Config) { c.Input.StageAfter = -1 },
		"--input-ca-dir":      func(c *wrapper.Config) { c.Input.CADir = "/no/such/folder" },
		"--data-dir":          func(c *wrapper.Config) { c.DataDir = "https://u:s3cret@h/" },
	} {
		cfg := remote(t)
		change(&cfg)
		_, err := wrapper.New(shell("true"), nil, nil, cfg)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFileOfTheNextSliceIsFetchedAhead(t *testing.T) {
	t.Parallel()
	url, reads := storage(t)
	w := newWrapper(t, shell(countBytes), remote(t))
	s := slice(t, `{"filename":"`+url+`/data/x.stf"}`)
	w.Prefetch(t.Context(), s)
	o := w.Run(t.Context(), s)
	mustBeDone(t, o)
	if o.Input.How != wrapper.InputCached || reads.Load() != 1 {
		t.Errorf("%+v, read %d times", o.Input, reads.Load())
	}
	w.Prefetch(t.Context(), slice(t, `{"filename":"`+url+`/data/none.stf"}`)) // says nothing
	w.Prefetch(t.Context(), slice(t, `{"filename":"x.stf","file_type":"fake"}`))
}
