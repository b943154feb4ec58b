package payload_test

import (
	"testing"

	"tfpilot/payload"
	"tfpilot/payload/payloadtest"
)

func TestCommandPassesTheSuite(t *testing.T) {
	t.Parallel()
	payloadtest.Run(t, payloadtest.Kind{Front: "command", New: func(s payload.Spec) (payload.Payload, error) { return payload.NewCommand(s, "") }})
}
