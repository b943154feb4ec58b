package payload_test

import (
	"slices"
	"testing"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

func TestAProgramThatStaysHasTheVariablesOfItsSlot(t *testing.T) {
	t.Parallel()
	program := payload.Program{Spec: payloadfile.Spec{Name: "p", Env: map[string]string{"WHERE": "slot ${TFPILOT_SLOT}"}}}
	env := program.Environment(payload.Slot{Number: 3, Env: []string{"BEARER_TOKEN_FILE=/the/token"}}, "/home/of/it")
	for _, want := range []string{"BEARER_TOKEN_FILE=/the/token", "TFPILOT_SLOT=3", "WHERE=slot 3", "HOME=/home/of/it"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
}

func TestAProgramInAContainerIsLookedForThereUnlessItIsBesideThePayloadFile(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]exitcode.Failure{
		"only-in-the-image": exitcode.OK, "/opt/only/in/the/image": exitcode.OK, "./not-there": exitcode.SiteNoProgram,
	} {
		spec := payloadfile.Spec{Kind: payloadfile.KindCommand, Command: []string{program}, Container: &container.Spec{Image: "debian:12"}, Dir: t.TempDir()}
		if _, err := payload.NewCommand(spec, ""); exitcode.From(err) != want {
			t.Errorf("%s: %v, want %s", program, err, want.Name)
		}
	}
}
