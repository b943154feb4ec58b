package keeper_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
)

func TestAProgramThatDoesNotStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	k, dir := keepers(t, keeper.Session), t.TempDir()
	for name, c := range map[string]struct{ text, words string }{
		"interpreter":              {"#!/no/such/python3 -u\n", `the interpreter in its first line, "/no/such/python3": no such file`},
		"interpreter with DOS end": {"#!/bin/sh\r\n", `the interpreter in its first line, "/bin/sh\r": no such file`},
		"folder as interpreter":    {"#! /etc\n", `the interpreter in its first line, "/etc": permission denied`},
		"no interpreter":           {"echo hello\n", "its first line names no interpreter: exec format error"},
		"empty":                    {"", "no program of this kind of machine"},
		"half a program":           {"\x7fELF\x02\x01\x01", "exec format error"},
	} {
		program := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(program, []byte(c.text), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := k.Run(t.Context(), proc.Command{Path: program}, keeper.Limits{})
		if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), program) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := k.Run(t.Context(), proc.Command{Path: "/bin/true", Dir: filepath.Join(dir, "gone")}, keeper.Limits{})
	if exitcode.From(err) != exitcode.SiteNoSpace || !strings.Contains(err.Error(), "its folder: ") {
		t.Error(err)
	}
	if res, err := k.Run(t.Context(), sh("exit 3"), keeper.Limits{}); err != nil || res.ExitCode != 3 {
		t.Errorf("the next program: %+v, %v", res, err)
	}
}
