package payload_test

import (
	"slices"
	"testing"

	"tfpilot/payload"
)

func TestAProgramThatStaysHasTheVariablesOfItsSlot(t *testing.T) {
	t.Parallel()
	program := payload.Program{Spec: payload.Spec{Name: "p", Env: map[string]string{"WHERE": "slot ${TFPILOT_SLOT}"}}}
	env := program.Environment(payload.Slot{Number: 3, Env: []string{"BEARER_TOKEN_FILE=/the/token"}}, "/home/of/it")
	for _, want := range []string{"BEARER_TOKEN_FILE=/the/token", "TFPILOT_SLOT=3", "WHERE=slot 3", "HOME=/home/of/it"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
}
