package container

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// ofRuntime are the variables of ours that a runtime needs for itself, and beginnings of those that configure it. Nothing of them
// is seen inside.
var (
	ofRuntime         = []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
	ofRuntimePrefixes = []string{"APPTAINER_", "SINGULARITY_", "DOCKER_", "CONTAINER_", "CONTAINERS_", "REGISTRY_", "XDG_"}
)

// inside begins the names of variables that bring those of the program to the entry.
const inside = "TFPILOT_INSIDE_"

// packed are the variables of a program as runtimes may have them. Apptainer has a shell evaluate what they hold, $(...) included, and
// some of it comes from messages; all of them have variables of their own that some names would be taken for.
func packed(env []string) []string {
	var out []string
	for i, v := range env {
		out = append(out, inside+strconv.Itoa(i)+"="+base64.StdEncoding.EncodeToString([]byte(v)))
	}
	return out
}

// unpack gives an environment with what was packed in it, which wins.
func unpack(env []string) []string {
	var out, ours []string
	for _, v := range env {
		if !strings.HasPrefix(v, inside) {
			out = append(out, v)
			continue
		}
		_, text, _ := strings.Cut(v, "=")
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			ours = append(ours, string(b))
		}
	}
	return last(append(out, ours...))
}

// last keeps the last value of each variable.
func last(env []string) []string {
	at := map[string]int{}
	var out []string
	for _, v := range env {
		key, _, _ := strings.Cut(v, "=")
		if i, ok := at[key]; ok {
			out[i] = v
			continue
		}
		at[key] = len(out)
		out = append(out, v)
	}
	return out
}

// outside is the environment of a runtime, out of that of this process.
func outside(ours []string) []string {
	var env []string
	for _, v := range ours {
		key, _, _ := strings.Cut(v, "=")
		if slices.Contains(ofRuntime, key) || slices.ContainsFunc(ofRuntimePrefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			env = append(env, v)
		}
	}
	return env
}
