package payloadfile

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// OutputRules say which files of the slice's folder are its outputs, and what they are called where they are kept.
type OutputRules struct {
	// Files are patterns, as sub/*.root, of files that are outputs also when the result does not list them.
	Files []string `toml:"files"`
	// Required are names or patterns; a slice without an output for each of them has failed.
	Required []string `toml:"required"`
	// Name is made of text and {stem}, {run}, {slice}, {first}, {last}, {attempt}, {req_id} and {file}; the production system's
	// rule when empty.
	Name string `toml:"name"`
}

// DefaultOutputName is how the production system calls its outputs, where {file} is edm4eic.root. A payload that has called its
// file so already has it kept under that name.
const DefaultOutputName = ownName + "{file}"

// ownName begins the names of a slice's files in the production system.
const ownName = "{stem}_run_{run}_slice_{slice}_s{first}_e{last}."

// maxFileName is that of file systems, less what a temporary name takes.
const maxFileName = 240

// validate names every contradiction. An error begins with its key.
func (o OutputRules) validate() error {
	var errs []error
	for _, c := range []struct {
		key      string
		patterns []string
	}{{"output.files", o.Files}, {"output.required", o.Required}} {
		for _, pattern := range c.patterns {
			_, err := path.Match(pattern, "")
			if err != nil || pattern == "" || path.IsAbs(pattern) || slices.Contains(strings.Split(pattern, "/"), "..") {
				errs = append(errs, keyError{c.key, fmt.Errorf("%q is no pattern of files in the work directory, such as \"*.root\"", pattern)})
			}
		}
	}
	if o.Name == "" {
		return errors.Join(errs...)
	}
	key, has := "output.name", map[string]bool{}
	if _, err := expandName(o.Name, func(word string) (string, bool) {
		_, known := nameWords[word]
		has[word] = true
		return "", known
	}); err != nil {
		errs = append(errs, keyError{key, err})
	}
	if !has["file"] {
		errs = append(errs, keyError{key, errors.New("{file} is missing: two outputs of one slice would have one name")})
	}
	if !has["req_id"] && (!has["stem"] || (!has["slice"] && !has["first"])) {
		errs = append(errs, keyError{key, errors.New("two slices of a run would have one name: it needs {req_id}, or {stem} with {slice} or {first}")})
	}
	if strings.ContainsFunc(o.Name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }) {
		errs = append(errs, keyError{key, errors.New("a name of a file has no / in it")})
	}
	return errors.Join(errs...)
}

// nameWords are what {...} in a name may say.
var nameWords = map[string]func(s message.Slice, file string) string{
	"stem":    func(s message.Slice, _ string) string { return stem(s.Content) },
	"run":     func(s message.Slice, _ string) string { return s.Run().String() },
	"slice":   func(s message.Slice, _ string) string { return fmt.Sprint(s.Content.SliceID.Int64()) },
	"first":   func(s message.Slice, _ string) string { return fmt.Sprint(s.Content.Start.Int64()) },
	"last":    func(s message.Slice, _ string) string { return fmt.Sprint(s.Content.End.Int64()) },
	"attempt": func(s message.Slice, _ string) string { return fmt.Sprint(s.Content.AttemptNumber()) },
	"req_id":  func(s message.Slice, _ string) string { return s.Content.Identity() },
	"file":    func(_ message.Slice, file string) string { return path.Clean(file) },
}

// stem is the name of the slice's file without folder and last extension.
func stem(c message.SliceContent) string {
	base := path.Base(c.TFFilename)
	if c.TFFilename == "" {
		base = path.Base(c.Filename)
	}
	return strings.TrimSuffix(base, path.Ext(base))
}

// expandName puts in the values of {words}.
func expandName(template string, value func(word string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		text, rest, open := strings.Cut(template, "{")
		b.WriteString(text)
		if !open {
			return b.String(), nil
		}
		word, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("{%.40s is never closed", word)
		}
		v, known := value(word)
		if !known {
			return "", fmt.Errorf("{%.40s} is none of {stem}, {run}, {slice}, {first}, {last}, {attempt}, {req_id}, {file}", word)
		}
		b.WriteString(v)
		template = after
	}
}

// FileName is what an output of a slice is called where it is kept. Whatever a message or a payload says, it is one name of
// letters, digits and ._-+=,@ alone, which no file system, URL or command line takes for anything else; other bytes are written as
// %XX, so that two names never become one.
func (o OutputRules) FileName(s message.Slice, file string) (string, error) {
	value := func(word string) (string, bool) {
		of, known := nameWords[word]
		if !known {
			return "", false
		}
		return of(s, file), true
	}
	template := o.Name
	if template == "" {
		template = DefaultOutputName
		if own, err := expandName(ownName, value); err == nil && strings.HasPrefix(path.Clean(file), own) {
			template = "{file}"
		}
	}
	name, err := expandName(template, value)
	if err != nil {
		return "", exitcode.New(exitcode.Usage, "output.name: %w", err)
	}
	if name = Portable(name); len(name) > maxFileName {
		return "", exitcode.New(exitcode.DataInvalid, "the name of output %.80q would have %d bytes, more than %d: %.80q...", file, len(name), maxFileName, name)
	}
	return name, nil
}

// Portable writes a text as a name that means the same to every file system, URL and command line, and no other text has.
func Portable(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		safe := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-+=,@", c) >= 0
		if !safe || i == 0 && (c == '.' || c == '-') {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
