package scaffold

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

//go:embed all:templates
var templates embed.FS

// nameMark stands for the payload's name in the templates.
const nameMark = "PAYLOAD_NAME"

// Languages are those that there are templates in.
func Languages() []string { return []string{"python", "go", "bash"} }

// Kinds are those that there are templates of.
func Kinds() []payloadfile.Kind {
	return []payloadfile.Kind{payloadfile.KindCommand, payloadfile.KindResident}
}

// Payload is what has been written.
type Payload struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
	// Spec and Slice are its TOML file and the slice to try it on; Files all files, in order.
	Spec  string `json:"spec"`
	Slice string `json:"slice"`
	Files []File `json:"files"`
}

// File is one of the files.
type File struct {
	Path  string `json:"path"`
	About string `json:"about"`
}

// nameRule is what makes a name good for a folder, a Go module and a table.
var nameRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// Write makes the folder dir, whose last element is the payload's name, with a payload of the kind in the language. A folder that is
// there already is left alone; one that cannot be filled is removed.
func Write(dir string, kind payloadfile.Kind, language string) (p Payload, err error) {
	name := filepath.Base(dir)
	switch {
	case !nameRule.MatchString(name):
		return p, exitcode.New(exitcode.Usage, "%q is no name for a payload: letters, digits, - and _, a letter first", name)
	case !slices.Contains(Languages(), language):
		return p, exitcode.New(exitcode.Usage, "--lang %q is none of %s", language, strings.Join(Languages(), ", "))
	case !slices.Contains(Kinds(), kind):
		return p, exitcode.New(exitcode.Usage, "--kind %q is none of %v: those have templates", kind, Kinds())
	}
	layers := []string{"common", language, language + "-" + string(kind)}
	if _, err := templates.ReadDir(path.Join("templates", layers[2])); err != nil {
		return p, exitcode.New(exitcode.Usage, "there is no template of kind %s in %s, because its requests are JSON: take --lang python or go", kind, language)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return p, noPlace(err)
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return p, exitcode.New(exitcode.Usage, "%s is there already, and is left alone: take another name", dir)
	} else if err != nil {
		return p, noPlace(err)
	}
	p = Payload{Name: name, Dir: dir, Spec: filepath.Join(dir, name+".toml"), Slice: filepath.Join(dir, "test", "slice.json")}
	for _, layer := range layers {
		if err := p.write(path.Join("templates", layer)); err != nil {
			_ = os.RemoveAll(dir) // or the same name could not be taken again
			return p, noPlace(err)
		}
	}
	slices.SortFunc(p.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return p, nil
}

// noPlace is that of a folder that cannot be made, or filled.
func noPlace(err error) error {
	return exitcode.WithNext(exitcode.New(exitcode.SiteNoSpace, "making the payload's folder: %w", err), "name one where you may write, and where there is room: NAME may be a path")
}

// write writes one layer of templates.
func (p *Payload) write(layer string) error {
	return fs.WalkDir(templates, layer, func(from string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templates.ReadFile(from)
		if err != nil {
			return err
		}
		to := strings.TrimSuffix(strings.TrimPrefix(from, layer+"/"), ".tmpl")
		to = filepath.Join(p.Dir, strings.ReplaceAll(to, nameMark, p.Name))
		if filepath.Ext(to) != ".stf" {
			text = []byte(strings.ReplaceAll(string(text), nameMark, p.Name))
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(text), "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		p.Files = append(p.Files, File{to, about[strings.TrimSuffix(path.Base(from), ".tmpl")]})
		return os.WriteFile(to, text, mode)
	})
}

// about says what the files are, by their names in the templates.
var about = map[string]string{
	nameMark + ".toml": "what it is, and what it may take",
	"payload.py":       "the program: takes slices, gives results",
	"payload.sh":       "the program: your work goes in here",
	"main.go":          "the program: takes slices, gives results",
	"work.py":          "your work goes in here",
	"work.go":          "your work goes in here",
	"result.go":        "what it gives back",
	"go.mod":           "its module",
	".gitignore":       "what git leaves alone",
	"test_work.py":     "its tests",
	"test_payload.sh":  "its tests",
	"work_test.go":     "its tests",
	"slice.json":       "a slice to try it on",
	"frames.stf":       "the time frames of that slice",
}
