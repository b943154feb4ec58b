package payload

import (
	"os"
	"path/filepath"

	"tfpilot/internal/exitcode"
)

// Builtin finds the static binary of the built-in payloads: the given path, else TFPILOT_PAYLOAD_BIN, else beside this
// program. It is not looked for further: a program of that name in PATH may be another version's.
func Builtin(path string) (string, error) {
	if path == "" {
		path = os.Getenv("TFPILOT_PAYLOAD_BIN")
	}
	if path != "" {
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", exitcode.New(exitcode.SiteNoProgram, "finding tfpilot-payload: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "tfpilot-payload"), nil
}
