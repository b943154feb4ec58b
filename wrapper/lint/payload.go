package lint

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

// Payload looks at a payload's TOML file. Construct makes the payload, as a pilot does before its first slice.
func Payload(file string, construct func(payloadfile.Spec) error) (payloadfile.Spec, []Problem) {
	spec, err := payloadfile.Load(file)
	if err != nil {
		return spec, problems(file, err)
	}
	if spec.Dir == "" { // a built-in
		return spec, problems(file, construct(spec))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return spec, problems(file, exitcode.New(exitcode.Usage, "reading the payload: %w", err))
	}
	l := linter{file: file, text: text, spec: spec}
	if err := construct(spec); err != nil {
		f := exitcode.From(err)
		key := "command"
		if f == exitcode.SiteContainer {
			key = "container.image"
		}
		l.add(key, Problem{Severity: Error, Text: err.Error(), Next: exitcode.Next(err), Name: f.Name, Code: f.Code})
	} else {
		l.interpreter()
	}
	l.files()
	l.usual()
	slices.SortStableFunc(l.found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return spec, l.found
}

// linter collects what is found in a file that package payloadfile accepts.
type linter struct {
	file  string
	text  []byte
	spec  payloadfile.Spec
	found []Problem
}

// add notes a problem at a key.
func (l *linter) add(key string, p Problem) {
	p.File, p.Line = l.file, config.LineOf(l.text, key)
	l.found = append(l.found, p)
}

// program is where the payload's own program lies; empty when it is one of the machine's.
func (l *linter) program() string {
	if len(l.spec.Command) == 0 || !strings.Contains(l.spec.Command[0], "/") {
		return ""
	}
	if filepath.IsAbs(l.spec.Command[0]) {
		return l.spec.Command[0]
	}
	return filepath.Join(l.spec.Dir, l.spec.Command[0])
}

// interpreter looks at the first line of a script: the kernel only says that the script is not there.
func (l *linter) interpreter() {
	script := l.program()
	if script == "" {
		return
	}
	f, err := os.Open(script)
	if err != nil {
		return // it may be executable and not readable
	}
	defer func() { _ = f.Close() }()
	line, _ := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	if !strings.HasPrefix(line, "#!") {
		if !strings.Contains(line, "\x00") && utf8.ValidString(line) { // text, and no program of any machine
			l.add("command", Problem{
				Severity: Error, Text: fmt.Sprintf("%s: its first line names no interpreter", script),
				Next: "begin it with #!/bin/sh, #!/usr/bin/env python3 or the like", Name: exitcode.SiteNoProgram.Name, Code: exitcode.SiteNoProgram.Code,
			})
		}
		return
	}
	if strings.HasSuffix(line, "\r\n") {
		l.add("command", Problem{
			Severity: Error, Text: fmt.Sprintf("%s: its first line ends as on Windows, and its interpreter is not found for that", script),
			Next: "save it with line ends of Unix", Name: exitcode.SiteNoProgram.Name, Code: exitcode.SiteNoProgram.Code,
		})
		return
	}
	words := strings.Fields(line[2:])
	if len(words) > 1 && path.Base(words[0]) == "env" && !strings.HasPrefix(words[1], "-") {
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		l.add("command", Problem{
			Severity: Error, Text: fmt.Sprintf("%s: its interpreter %s is not there", script, words[0]),
			Next: "install it, or mend the first line of the program", Name: exitcode.SiteNoProgram.Name, Code: exitcode.SiteNoProgram.Code,
		})
	}
}

// payloadDir is what stands for the folder of the TOML file.
const payloadDir = "${TFPILOT_PAYLOAD_DIR}/"

// files looks for those that are named as lying beside the TOML file.
func (l *linter) files() {
	for _, arg := range l.spec.Command[min(1, len(l.spec.Command)):] {
		name, beside := strings.CutPrefix(arg, payloadDir)
		if !beside || strings.Contains(name, "${") {
			continue
		}
		if _, err := os.Stat(filepath.Join(l.spec.Dir, name)); err != nil {
			l.add("command", Problem{
				Severity: Error, Text: fmt.Sprintf("%s is not there: %v", arg, errors.Unwrap(err)), Next: "write it, or mend the name",
				Name: exitcode.SiteNoProgram.Name, Code: exitcode.SiteNoProgram.Code,
			})
		}
	}
}

// usual looks for what is left out although it is mostly wanted, and for what should stand elsewhere.
func (l *linter) usual() {
	if l.spec.Version == "" {
		l.add("version", Problem{Severity: Warning, Text: "no version: results will not say which one of the payload made them", Next: `write version = "1"`})
	}
	if l.spec.MemoryMB == 0 && !l.spec.InProcess() {
		l.add("memory_mb", Problem{
			Severity: Warning, Text: "no memory_mb: nothing keeps it from taking the memory of its neighbours, and --slots auto cannot count by it",
			Next: "`wrapper run` says how much it takes",
		})
	}
	for key := range l.spec.Env {
		for _, secret := range []string{"TOKEN", "PASSWORD", "SECRET", "PASSWD"} {
			if strings.Contains(strings.ToUpper(key), secret) && l.spec.Env[key] != "" && !strings.HasPrefix(l.spec.Env[key], "/") {
				l.add("env."+key, Problem{
					Severity: Warning, Text: fmt.Sprintf("env.%s looks like a secret, and stands where many can read it", key), Next: "name a file that holds it",
				})
			}
		}
	}
}

// Result looks at a result document. Its outputs are looked for beside it, as they lie in the folder of a slice.
func Result(ctx context.Context, file string, spec payloadfile.Spec) []Problem {
	text, err := os.ReadFile(file)
	if err != nil {
		return problems(file, exitcode.New(exitcode.Usage, "reading the result: %w", err))
	}
	res, err := payload.DecodeResult(text)
	if err == nil {
		res.Failure = nil // what it says of the slice is no mistake
		err = res.Settle(ctx, spec, payload.Request{Slice: message.Slice{Content: message.SliceContent{ReqID: message.Text(res.ReqID)}}, Dir: filepath.Dir(file)})
	} else {
		err = exitcode.Wrap(exitcode.PayloadBadResult, err)
	}
	return At(file, text, err)
}

// At are the problems that an error about a JSON document means.
func At(file string, text []byte, err error) []Problem {
	out := problems(file, err)
	for i := range out {
		out[i].Line = LineOf(text, errors.New(out[i].Text))
		if len(out) == 1 {
			out[i].Line = LineOf(text, err)
		}
	}
	return out
}
