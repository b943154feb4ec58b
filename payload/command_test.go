package payload_test

import (
	"testing"

	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/payloadtest"
)

func TestCommandPassesTheSuite(t *testing.T) {
	t.Parallel()
	payloadtest.Run(t, payloadtest.Kind{Front: "command", New: func(s payloadfile.Spec) (payload.Payload, error) { return payload.NewCommand(s, "") }})
}
