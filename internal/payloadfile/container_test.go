package payloadfile_test

import (
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

func TestAWrongContainerNamesLineAndKey(t *testing.T) {
	t.Parallel()
	const good = "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n"
	for want, text := range map[string]string{
		`:5: unknown key "container.imag"`:         good + "[container]\nimag = \"x\"\n",
		`container.image is missing`:               good + "[container]\n",
		`container.runtime "lxc" is none of auto,`: good + "[container]\nruntime = \"lxc\"\nimage = \"x\"\n",
		`starts no program that could run in one`:  "name = \"x\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"noop\"\n[container]\nimage = \"x\"\n",
	} {
		_, file, err := load(t, text)
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
