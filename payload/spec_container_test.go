package payload_test

import (
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/payload"
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

func TestAProgramInAContainerIsLookedForThereUnlessItIsBesideThePayloadFile(t *testing.T) {
	t.Parallel()
	const table = "name = \"x\"\nkind = \"command\"\ncommand = [\"%s\"]\n[container]\nimage = \"debian:12\"\n"
	for program, want := range map[string]exitcode.Failure{
		"only-in-the-image": exitcode.OK, "/opt/only/in/the/image": exitcode.OK, "./not-there": exitcode.SiteNoProgram,
	} {
		spec, _, err := load(t, strings.Replace(table, "%s", program, 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := payload.NewCommand(spec, ""); exitcode.From(err) != want {
			t.Errorf("%s: %v, want %s", program, err, want.Name)
		}
	}
}
