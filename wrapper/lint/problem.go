package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/exitcode"
)

// Severity says whether a problem keeps a payload from working.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong, with its place.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // 0 when it is of no line
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Next     string   `json:"next,omitempty"`
	// Name and Code are the place of an error in the table of failures.
	Name string `json:"name,omitempty"`
	Code int    `json:"code,omitempty"`
}

// String is the problem as compilers print theirs, so that editors jump to it.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place += ":" + strconv.Itoa(p.Line)
	}
	text := fmt.Sprintf("%s: %s: %s", place, p.Severity, p.Text)
	if p.Next != "" {
		text += " (" + p.Next + ")"
	}
	return text
}

// flatten takes a list of errors apart, also one that something is said before.
func flatten(err error) (out []error) {
	for e := err; e != nil; e = errors.Unwrap(e) {
		list, ok := e.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		text := make([]string, 0, len(list.Unwrap()))
		for _, one := range list.Unwrap() {
			text = append(text, one.Error())
			out = append(out, flatten(one)...)
		}
		if strings.Join(text, "\n") == e.Error() { // a sentence may wrap several errors too
			return out
		}
		break
	}
	return []error{err}
}

// placed is "FILE:LINE: text" or "FILE:LINE:COLUMN: text", as package config says it.
var placed = regexp.MustCompile(`^(.+?):(\d+):(?:\d+:)? `)

// problems are the errors of a file, the line taken out of those that name it.
func problems(file string, err error) []Problem {
	if err == nil {
		return nil
	}
	f := exitcode.From(err)
	var out []Problem
	for _, e := range flatten(err) {
		p := Problem{File: file, Severity: Error, Text: e.Error(), Name: f.Name, Code: f.Code}
		if m := placed.FindStringSubmatch(p.Text); m != nil && m[1] == file {
			p.Line, _ = strconv.Atoi(m[2])
			p.Text = p.Text[len(m[0]):]
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return out
}

// word is what of an error may stand in the document that it is about.
var word = regexp.MustCompile(`"([^"]+)"|[\p{L}\p{N}_.:/#-]+`)

// LineOf is the line of a JSON document, from 1, that an error about it means: where the decoder stopped, or else where the words of
// the error stand as keys and names. It is 0 when they stand nowhere.
func LineOf(text []byte, err error) int {
	offset := -1
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = int(syntax.Offset) - 1
	} else if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = int(wrong.Offset) - 1
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		offset = len(bytes.TrimSpace(text)) - 1
	}
	if offset < 0 {
		offset = search(text, err.Error())
	}
	if offset < 0 {
		return 0
	}
	return 1 + bytes.Count(text[:min(offset, len(text))], []byte("\n"))
}

// search finds the last of an error's words that stand one after another within one object; -1 when none does.
func search(text []byte, about string) int {
	offset, end := -1, len(text)
	for _, m := range word.FindAllStringSubmatch(about, -1) {
		quoted, err := json.Marshal(strings.TrimSuffix(strings.TrimSuffix(cmp.Or(m[1], m[0]), ":"), ","))
		if err != nil {
			continue
		}
		from := max(offset, 0)
		i := bytes.Index(text[from:end], quoted)
		if i < 0 {
			continue
		}
		if offset < 0 { // what follows is of the same object
			if next := bytes.Index(text[i+1:], []byte(`"name"`)); next >= 0 {
				end = i + 1 + next
			}
		}
		offset = from + i
	}
	return offset
}
