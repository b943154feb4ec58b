// Package kinds makes payloads of every kind: the one place that knows them all.
package kinds

import (
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/eicrecon"
	"tfpilot/payload/resident"
	"tfpilot/payload/synthetic"
)

// New makes the payload of a spec. builtin is the path of tfpilot-payload; empty is looked up by [payload.Builtin].
func New(spec payloadfile.Spec, builtin string) (payload.Payload, error) {
	builtin, err := payload.Builtin(builtin)
	if err != nil {
		return nil, err
	}
	switch spec.Kind {
	case payloadfile.KindSynthetic:
		return synthetic.New(spec, builtin)
	case payloadfile.KindResident:
		return resident.New(spec)
	case payloadfile.KindEICrecon:
		return eicrecon.New(spec)
	default:
		return payload.NewCommand(spec, builtin)
	}
}

// Simulated makes the payload of slices that ask for no real one (file_type fake or mock).
func Simulated() (payload.Payload, error) {
	spec, err := payloadfile.Load(string(payloadfile.KindSynthetic))
	if err != nil {
		return nil, err
	}
	return synthetic.New(spec, "")
}
