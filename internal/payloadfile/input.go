package payloadfile

import (
	"fmt"
	"slices"
	"strings"
)

// Input says how a payload wants a slice's file when it lies on remote storage.
type Input struct {
	// As is what TFPILOT_INPUT holds then (default: as the kind has it, see [Spec.InputAs]).
	As InputAs `toml:"as"`
	// TokenFile has the program find the token for input, as the path of its file, in BEARER_TOKEN_FILE.
	TokenFile bool `toml:"token_file"`
}

// InputAs is what a payload is given for a remote file.
type InputAs string

// The ways.
const (
	// InputPath is a file on this node, fetched before the program gets the slice.
	InputPath InputAs = "path"
	// InputURL is the address, as the slice has it.
	InputURL InputAs = "url"
	// InputAuto is an https address where reading a part costs less, else a file on this node: for programs that read both.
	InputAuto InputAs = "auto"
)

// InputAs is how the payload wants remote files. tfreco reads both; EICrecon opens addresses by itself; the fake reads none.
func (s Spec) InputAs() InputAs {
	switch {
	case s.Input.As != "":
		return s.Input.As
	case s.Kind == KindTFReco:
		return InputAuto
	case s.Kind == KindSynthetic, s.Kind == KindEICrecon:
		return InputURL
	default:
		return InputPath
	}
}

// WantsToken says that the program is told where the token for input is.
func (s Spec) WantsToken() bool { return s.Input.TokenFile || s.Kind == KindTFReco }

// validate names what is wrong. An error begins with its key.
func (i Input) validate() error {
	known := []string{string(InputPath), string(InputURL), string(InputAuto)}
	if i.As != "" && !slices.Contains(known, string(i.As)) {
		return keyError{"input.as", fmt.Errorf("%q is none of %s", i.As, strings.Join(known, ", "))}
	}
	return nil
}
