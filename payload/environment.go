package payload

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/exitcode"
)

// contract is the version of docs/payloads.md that kind command keeps.
const contract = "1"

// maxVariable bounds the value of a variable that comes from a slice; the kernel takes no more than 128 KiB of one.
const maxVariable = 16 << 10

// inherited are the only variables that a payload sees of ours.
var inherited = []string{"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}

// variable is one of those that describe a slice to its program, and what ${NAME} stands for in the spec.
type variable struct{ name, value string }

// variables are all of them, in the order of docs/payloads.md.
func variables(spec Spec, r Request, resultPath string) []variable {
	c := r.Slice.Content
	return []variable{
		{"TFPILOT_CONTRACT", contract},
		{"TFPILOT_INPUT", r.Input},
		{"TFPILOT_FIRST", strconv.FormatInt(c.Start.Int64(), 10)},
		{"TFPILOT_LAST", strconv.FormatInt(c.End.Int64(), 10)},
		{"TFPILOT_RESULT", resultPath},
		{"TFPILOT_RUN_ID", r.Slice.Run().String()},
		{"TFPILOT_REQ_ID", c.Identity()},
		{"TFPILOT_ATTEMPT", strconv.Itoa(c.AttemptNumber())},
		{"TFPILOT_NAMESPACE", r.Slice.Namespace},
		{"TFPILOT_TF_FILENAME", c.TFFilename},
		{"TFPILOT_PAYLOAD_DIR", spec.Dir},
		{"TFPILOT_SLOT", strconv.Itoa(r.Slot.Number)},
	}
}

// stayingVariables describe a slot to a program that stays in it.
func stayingVariables(spec Spec, s Slot) []variable {
	return []variable{
		{"TFPILOT_CONTRACT", contract},
		{"TFPILOT_PAYLOAD_DIR", spec.Dir},
		{"TFPILOT_SLOT", strconv.Itoa(s.Number)},
	}
}

// checkVariables finds what cannot be handed to a program. It is the producer's mistake, not this machine's.
func checkVariables(vars []variable) error {
	for _, v := range vars {
		if strings.ContainsRune(v.value, 0) {
			return exitcode.New(exitcode.DataInvalid, "%s: a NUL in %.80q", v.name, v.value)
		}
		if len(v.value) > maxVariable {
			return exitcode.New(exitcode.DataInvalid, "%s: %d bytes are too many", v.name, len(v.value))
		}
	}
	return nil
}

// environment is scrubbed: a few variables of ours, the payload's own, and the slice.
func (p Program) environment(r Request, vars []variable) []string {
	env := make([]string, 0, len(inherited)+2+len(p.Env)+len(vars))
	for _, key := range inherited {
		if v, ok := os.LookupEnv(key); ok && p.inherits(key) {
			env = append(env, key+"="+v)
		}
	}
	env = append(append(env, "HOME="+r.Dir, "TMPDIR="+r.Dir), r.Slot.Env...)
	if trace := r.Slice.Content.Trace(); !trace.IsZero() {
		env = append(env, "TRACEPARENT="+trace.String())
	}
	for key, v := range p.Env {
		env = append(env, key+"="+expand(v, vars))
	}
	for _, v := range vars {
		env = append(env, v.name+"="+v.value)
	}
	return env
}

// notInside are the variables of ours that would be wrong in a container: they tell where things are outside.
var notInside = []string{"PATH", "LD_LIBRARY_PATH"}

// inherits says that a variable of ours is the payload's too.
func (p Program) inherits(key string) bool {
	return p.Container == nil || !slices.Contains(notInside, key)
}

// placeholder begins what stands for a variable; nothing else is replaced, so that ${HOME} or a JSON text stay what they are.
const placeholder = "${TFPILOT_"

// expand puts in the values of ${TFPILOT_...}. Unknown ones were refused by checkPlaceholders.
func expand(text string, vars []variable) string {
	if !strings.Contains(text, placeholder) {
		return text
	}
	for _, v := range vars {
		text = strings.ReplaceAll(text, "${"+v.name+"}", v.value)
	}
	return text
}

// checkPlaceholders refuses names that mean nothing.
func checkPlaceholders(text string) error {
	known := variables(Spec{}, Request{}, "")
	for {
		_, rest, found := strings.Cut(text, placeholder)
		if !found {
			return nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !slices.ContainsFunc(known, func(v variable) bool { return v.name == "TFPILOT_"+name }) {
			return fmt.Errorf("%s%.40s} is no variable of a slice", placeholder, name)
		}
		text = after
	}
}
