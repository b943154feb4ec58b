package container_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/container"
	"tfpilot/internal/proc"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// Every command line is held to a file, as it is to be read beside the manual of its runtime. What changes from call to call has a
// name in angle brackets there.
func TestTheCommandLineOfEachRuntimeIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	folder := root(t)
	sif := filepath.Join(t.TempDir(), "eic_xl.sif")
	if err := os.WriteFile(sif, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	work, code := t.TempDir(), t.TempDir()
	all := container.Spec{Binds: []string{"/usr/share:/data:ro", "/usr/lib"}, Network: "none", GPU: "nvidia"}
	for name, c := range map[string]struct {
		runtime container.Runtime
		image   string
		options []string
		site    string
	}{
		"apptainer":   {container.Apptainer, sif, []string{"--no-mount", "bind-paths"}, `-B /usr/include:/usr/include:ro --nv --userns`},
		"singularity": {container.Singularity, "/cvmfs/singularity.opensciencegrid.org/eicweb/eic_xl:nightly", nil, ""},
		"podman":      {container.Podman, "docker://ghcr.io/eic/eic_xl:nightly", []string{"--pull=never"}, "--bind=/usr/include"},
		"podman-root": {container.Podman, folder, nil, ""},
		"docker":      {container.Docker, "ghcr.io/eic/eic_xl:nightly", nil, "--userns"},
		"bubblewrap":  {container.Bubblewrap, folder, []string{"--cap-drop", "ALL"}, "-B/usr/include:/usr/include:ro"},
	} {
		env := append(runtimes(t, "apptainer", "singularity", "podman", "docker", "bwrap"),
			"HOME=/home/pilot", "LANG=C.UTF-8", "SECRET_TOKEN=the-secret", "APPTAINERENV_KEY=the-secret", "APPTAINER_CACHEDIR=/cache")
		spec := all
		spec.Runtime, spec.Image, spec.Options = c.runtime, c.image, c.options
		if strings.HasPrefix(c.image, "/cvmfs/") {
			spec = container.Spec{Runtime: c.runtime, Image: folder} // no CVMFS here: a folder is what it shows
		}
		if c.runtime == container.Bubblewrap {
			spec.GPU = ""
		}
		box, err := container.New(spec, container.Place{SiteOptions: c.site, MemoryBytes: 1 << 30, Env: env})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, err := box.Start(proc.Command{
			Path: "python3", Args: []string{"run.py", "--frames", "0 65; rm -rf $HOME"}, Dir: work,
			Env: []string{"LANG=C", "HOME=" + work, "TMPDIR=" + work, "TFPILOT_INPUT=/data/a,b:c.stf", "KEY=value of the payload"},
		}, container.ReadOnly(code), container.ReadOnly("/not/there"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(slices.Concat([]string{filepath.Base(s.Command.Path)}, s.Command.Args), "\n")
		if a := s.After(); a != nil {
			text += "\n-- after, when it was killed:\n" + filepath.Base(a.Path) + "\n" + strings.Join(a.Args, "\n")
		}
		if strings.Contains(text, "value of the payload") || strings.Contains(strings.Join(s.Command.Env, "\n"), "the-secret") {
			t.Errorf("%s: a secret is where it does not belong:\n%s\n%s", name, text, s.Command.Env)
		}
		var inside []string
		for _, v := range s.Command.Env {
			if !strings.HasPrefix(v, "PATH=/") || c.runtime == container.Bubblewrap {
				inside = append(inside, v)
			}
		}
		slices.Sort(inside)
		text += "\n-- environment:\n" + strings.Join(inside, "\n") + "\n"
		for value, name := range map[string]string{folder: "<root>", sif: "<sif>", work: "<work>", code: "<payload>", self: "<self>"} {
			text = strings.ReplaceAll(text, value, name)
		}
		text = regexp.MustCompile(`(TFPILOT_INSIDE_\d)=.*`).ReplaceAllString(text, "$1=<packed>")
		text = regexp.MustCompile(`tfpilot-[a-z2-7]{26}`).ReplaceAllString(text, "<name>")
		text = regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).ReplaceAllString(text, "<word>")
		text = regexp.MustCompile(`(?m)^\d+:\d+$`).ReplaceAllString(text, "<user>")
		text = regexp.MustCompile(`(?m)^--userns=keep-id\n`).ReplaceAllString(text, "")
		golden(t, name, text)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not that of %s (go test -update rewrites it):\n%s", name, file, got)
	}
}
