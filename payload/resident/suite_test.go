package resident_test

import (
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/payloadtest"
	"tfpilot/payload/resident"
)

func TestResidentPassesTheSuite(t *testing.T) {
	t.Parallel()
	payloadtest.Run(t, payloadtest.Kind{
		Front: "resident", Stays: true,
		Spec: func(s *payloadfile.Spec) { s.Kind = payloadfile.KindResident },
		New:  func(s payloadfile.Spec) (payload.Payload, error) { return resident.New(s) },
		Verdicts: map[string]payloadtest.Verdict{
			// What it says is an answer, and nothing else may be said there.
			"prints garbage": {Failure: exitcode.PayloadBadResult, Words: "stdout is for the protocol"},
			"broken result":  {Failure: exitcode.PayloadBadResult, Words: "stdout is for the protocol"},
			"no result":      {Failure: exitcode.PayloadNoResult, Words: "no result"},
			// The second answer is to nobody's question: it costs the process, and no slice.
			"answers twice": {},
			// The result does not lie there.
			"deletes its work directory": {},
			"lacks a library":            {Failure: exitcode.SiteNoProgram, Words: "error while loading shared libraries"},
		},
	})
}
