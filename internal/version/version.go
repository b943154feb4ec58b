// Package version says which build this is.
package version

import "runtime/debug"

// text is set by the linker (-X tfpilot/internal/version.text=...).
var text = ""

// String is the released version, or the commit for a build from a checkout, or "devel".
func String() string {
	if text != "" {
		return text
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "devel"
}
