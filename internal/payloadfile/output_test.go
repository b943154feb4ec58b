package payloadfile_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
)

func TestAContradictionAboutOutputsNamesItsLine(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		`:5: output.files: "../x" is no pattern of files`:     `files = ["../x"]`,
		`:5: output.files: "[" is no pattern`:                 `files = ["["]`,
		`:5: output.required: "/x" is no pattern`:             `required = ["/x"]`,
		`:5: output.name: {nme} is none of {stem}`:            `name = "{stem}{slice}{nme}{file}"`,
		`:5: output.name: {file} is missing`:                  `name = "{stem}{slice}"`,
		`:5: output.name: two slices of a run would have one`: `name = "{stem}.{file}"`,
		`:5: output.name: a name of a file has no /`:          `name = "{req_id}/{file}"`,
		`:5: unknown key "output.dest"`:                       `dest = "/x"`,
		`:5: output.name: {first is never close`:              `name = "{req_id}{file}{first"`,
		`:5:9: output.files is a text in quotes where a list`: `files = "*.root"`,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, command+"[output]\n"+text+"\n")
			if exitcode.From(err) != exitcode.Usage || err == nil || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		})
	}
}

// named is a slice of these names.
func named(tf, run, req string) message.Slice {
	return message.Slice{RunID: message.Run(run), Content: message.SliceContent{
		ReqID: message.Text(req), TFFilename: tf, Filename: "/data/f.stf", SliceID: message.NewInt(3), Start: message.NewInt(0), End: message.NewInt(65),
	}}
}

func TestAnOutputIsCalledAsTheProductionSystemDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tf, file, template, want string }{
		{"swf.102023.000001_slice_003.tf", "edm4eic.root", "", "swf.102023.000001_slice_003_run_102023_slice_3_s0_e65.edm4eic.root"},
		{"", "x", "", "f_run_102023_slice_3_s0_e65.x"},
		{"", "f_run_102023_slice_3_s0_e65.edm4eic.root", "", "f_run_102023_slice_3_s0_e65.edm4eic.root"},
		{"", "g_run_102023_slice_3_s0_e65.x", "", "f_run_102023_slice_3_s0_e65.g_run_102023_slice_3_s0_e65.x"},
		{"a.tf", "sub/../tracks.root", "{req_id}.a{attempt}.{file}", "r1.a1.tracks.root"},
		{"a b;$(x).tf", "sub/é", "{stem}{slice}{file}", "a%20b%3B%24%28x%293sub%2F%C3%A9"},
		{"../../.ssh/x", ".root", "{stem}{slice}{file}", "x3.root"},
		{"..", "-rf", "{file}{stem}{slice}", "%2Drf.3"},
	} {
		got, err := payloadfile.OutputRules{Name: c.template}.FileName(named(c.tf, "102023", "r1"), c.file)
		if err != nil || got != c.want {
			t.Errorf("%q, %v: not %q", got, err, c.want)
		}
	}
	if _, err := (payloadfile.OutputRules{}).FileName(named(strings.Repeat("x", 240)+".tf", "1", "r1"), "f"); exitcode.From(err) != exitcode.DataInvalid {
		t.Error(err)
	}
}

var portable = regexp.MustCompile(`^[A-Za-z0-9_+=,@%][A-Za-z0-9._+=,@%-]{0,239}$`)

func FuzzANameOfAnOutputLeadsNowhereElse(f *testing.F) {
	f.Add("swf.1.tf", "1", "r1", "tracks.root", "../x", "2")
	f.Add("/", "..", "\x00", "\n", "$(reboot)", "a/b")
	f.Add("..", "-", "%2F", "/", "\xff", "�")
	f.Fuzz(func(t *testing.T, tf, run, req, file, otherFile, otherRun string) {
		for _, template := range []string{"", "{file}{req_id}", "{run}{stem}{slice}{first}{last}{attempt}{file}"} {
			rules := payloadfile.OutputRules{Name: template}
			name, err := rules.FileName(named(tf, run, req), file)
			if err != nil {
				continue
			}
			if !portable.MatchString(name) || path.Base(name) != name {
				t.Errorf("%q", name)
			}
			other, err := rules.FileName(named(tf, run, req), otherFile)
			if strings.Contains(file+otherFile, "_run_") {
				continue // one that has its own name may have that which another would get; who keeps them refuses both
			}
			if err == nil && (other == name) != (path.Clean(file) == path.Clean(otherFile)) {
				t.Errorf("%q and %q are both %q", file, otherFile, name)
			}
		}
		a, b := payloadfile.Portable(run), payloadfile.Portable(otherRun)
		if (a == b) != (run == otherRun) || strings.ContainsAny(a, "/ \n\x00") || a == "." || a == ".." {
			t.Errorf("%q and %q: %q, %q", run, otherRun, a, b)
		}
	})
}
