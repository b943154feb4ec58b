package payloadfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/config"
)

// keyError is a mistake at a key of the TOML file, so that a reader of the file can be told its line.
type keyError struct {
	key string
	err error
}

func (e keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e keyError) Unwrap() error { return e.err }

// located puts file and line before each mistake whose key stands in the text.
func located(name string, text []byte, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the list itself, not what is wrapped in it
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, located(name, text, e))
		}
		return errors.Join(errs...)
	}
	key := strings.TrimPrefix(beginning.FindString(err.Error()), "[")
	if at, ok := errors.AsType[keyError](err); ok {
		key = at.key
	}
	if line := lineOf(text, key); line > 0 {
		return fmt.Errorf("%s:%d: %w", name, line, err)
	}
	return err
}

// beginning is the key, or the [table], that the words of a mistake begin with, mostly.
var beginning = regexp.MustCompile(`^\[?[A-Za-z0-9_.-]+`)

// lineOf is config.LineOf for a key that may stand in an inline table, or, with [N] at its end, in the Nth table of a list.
func lineOf(text []byte, key string) int {
	if list, index, ok := strings.Cut(strings.TrimSuffix(key, "]"), "["); ok {
		n, _ := strconv.Atoi(index)
		for i, line := range strings.Split(string(text), "\n") {
			if strings.TrimSpace(line) == "[["+list+"]]" {
				if n--; n < 0 {
					return i + 1
				}
			}
		}
		key = list
	}
	for ; key != ""; key = key[:max(0, strings.LastIndexByte(key, '.'))] {
		if line := config.LineOf(text, key); line > 0 {
			return line
		}
		if i := slices.Index(strings.Split(string(text), "\n"), "["+key+"]"); i >= 0 {
			return i + 1
		}
	}
	return 0
}
