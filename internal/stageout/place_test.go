package stageout_test

import (
	"path"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
)

func TestAPlaceIsAFolderOrAURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/data/out/":                    "/data/out",
		"/":                             "/",
		"root://door:1094//store/epic/": "root://door:1094//store/epic",
		"root://Door/store":             "root://door//store",
		"xroots://door//store":          "roots://door//store",
		"davs://door:443/store/":        "https://door:443/store",
		"https://[::1]:8443/x":          "https://[::1]:8443/x",
	} {
		p, err := stageout.ParsePlace(text)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	for text, want := range map[string]string{
		"out": "neither the absolute name", "": "neither", "./x": "neither", "/data/../x": "leads upward", "/a\nb": "control character",
		"s3://bucket/x": "is none of root", "root://": "not a URL with a host", "root:///x": "not a URL with a host", "root://door": "path is missing",
		"https://door/": "path is missing", "https://me:secret@door/x": "without user", "https://door/x?authz=secret": "without user", "https://door/x#f": "without user",
		"https://door/a/%2e%2e/b": "leads upward", "root://door//a;rm -rf": "letters, digits", "root://door//a b": "letters, digits",
		"https://secret@/x": "not a URL", "https://do or/x": "not a URL",
	} {
		_, err := stageout.ParsePlace(text)
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzNothingLeadsOutOfAFence(f *testing.F) {
	f.Add("/data/out/x", "/data/out", "a", "b")
	f.Add("root://h//a/b", "root://h//a", "..", "/")
	f.Add("/data/outside", "/data/out", "../..", "")
	f.Fuzz(func(t *testing.T, text, fence, run, name string) {
		p, err := stageout.ParsePlace(text)
		if err != nil {
			return
		}
		again, err := stageout.ParsePlace(p.String())
		if err != nil || again != p {
			t.Errorf("%q is %q, and then %q: %v", text, p, again, err)
		}
		w, err := stageout.ParsePlace(fence)
		if err != nil {
			return
		}
		inside := strings.HasPrefix(path.Clean(p.String())+"/", strings.TrimSuffix(path.Clean(w.String()), "/")+"/")
		if p.Within(w) != inside {
			t.Errorf("%s within %s: %v", p, w, p.Within(w))
		}
		if !p.Within(p) || !p.Join("run", "name").Within(p) || p.Within(p.Join("run")) {
			t.Errorf("%s", p)
		}
	})
}
