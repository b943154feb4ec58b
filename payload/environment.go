package payload

import (
	"os"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

// maxVariable bounds the value of a variable that comes from a slice; the kernel takes no more than 128 KiB of one.
const maxVariable = 16 << 10

// inherited are the only variables that a payload sees of ours.
var inherited = []string{"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}

// checkVariables finds what cannot be handed to a program. It is the producer's mistake, not this machine's.
func checkVariables(vars payloadfile.Variables) error {
	for _, v := range vars {
		if strings.ContainsRune(v.Value, 0) {
			return exitcode.New(exitcode.DataInvalid, "%s: a NUL in %.80q", v.Name, v.Value)
		}
		if len(v.Value) > maxVariable {
			return exitcode.New(exitcode.DataInvalid, "%s: %d bytes are too many", v.Name, len(v.Value))
		}
	}
	return nil
}

// environment is scrubbed: a few variables of ours, the payload's own, and the slice.
func (p Program) environment(r Request, vars payloadfile.Variables) []string {
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
		env = append(env, key+"="+vars.Expand(v))
	}
	for _, v := range vars {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// notInside are the variables of ours that would be wrong in a container: they tell where things are outside.
var notInside = []string{"PATH", "LD_LIBRARY_PATH"}

// inherits says that a variable of ours is the payload's too.
func (p Program) inherits(key string) bool {
	return p.Container == nil || !slices.Contains(notInside, key)
}
