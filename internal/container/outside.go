package container

import (
	"slices"
	"strings"
)

// ofRuntime are the variables of ours that a runtime needs for itself, and beginnings of those that configure it. Nothing of them
// is seen inside.
var (
	ofRuntime         = []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
	ofRuntimePrefixes = []string{"APPTAINER_", "SINGULARITY_", "DOCKER_", "CONTAINER_", "CONTAINERS_", "REGISTRY_", "XDG_"}
)

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
