package payloadfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/message"
)

// contract is the version of docs/payloads.md that kind command keeps.
const contract = "1"

// Variable is one of those that describe a slice, or a slot, to a program.
type Variable struct{ Name, Value string }

// Variables are what ${NAME} stands for in a spec.
type Variables []Variable

// SliceVariables are those of a slice, in the order of docs/payloads.md: the file that is its input, and the one that its result is
// written to, in a slot of this number.
func (s Spec) SliceVariables(slice message.Slice, slot int, input, result string) Variables {
	c := slice.Content
	return Variables{
		{"TFPILOT_CONTRACT", contract},
		{"TFPILOT_INPUT", input},
		{"TFPILOT_FIRST", strconv.FormatInt(c.Start.Int64(), 10)},
		{"TFPILOT_LAST", strconv.FormatInt(c.End.Int64(), 10)},
		{"TFPILOT_RESULT", result},
		{"TFPILOT_RUN_ID", slice.Run().String()},
		{"TFPILOT_REQ_ID", c.Identity()},
		{"TFPILOT_ATTEMPT", strconv.Itoa(c.AttemptNumber())},
		{"TFPILOT_NAMESPACE", slice.Namespace},
		{"TFPILOT_TF_FILENAME", c.TFFilename},
		{"TFPILOT_PAYLOAD_DIR", s.Dir},
		{"TFPILOT_SLOT", strconv.Itoa(slot)},
	}
}

// SlotVariables are those of a slot of this number, for a program that stays in it.
func (s Spec) SlotVariables(slot int) Variables {
	return Variables{
		{"TFPILOT_CONTRACT", contract},
		{"TFPILOT_PAYLOAD_DIR", s.Dir},
		{"TFPILOT_SLOT", strconv.Itoa(slot)},
	}
}

// placeholder begins what stands for a variable; nothing else is replaced, so that ${HOME} or a JSON text stay what they are.
const placeholder = "${TFPILOT_"

// Expand puts in the values of ${TFPILOT_...}. Unknown ones were refused by [Spec.Validate].
func (vars Variables) Expand(text string) string {
	if !strings.Contains(text, placeholder) {
		return text
	}
	for _, v := range vars {
		text = strings.ReplaceAll(text, "${"+v.Name+"}", v.Value)
	}
	return text
}

// checkPlaceholders refuses names that mean nothing; to a program that stays also those of a slice, before whose first it is started.
func (s Spec) checkPlaceholders(text string) error {
	known, otherwise := s.SliceVariables(message.Slice{}, 0, "", ""), "is no variable of a slice"
	if s.Stays() {
		known, otherwise = s.SlotVariables(0), "is not known when a payload that stays is started: it gets its slices as requests"
	}
	for {
		_, rest, found := strings.Cut(text, placeholder)
		if !found {
			return nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return fmt.Errorf("%s%.40s is never closed", placeholder, name)
		}
		if !slices.ContainsFunc(known, func(v Variable) bool { return v.Name == "TFPILOT_"+name }) {
			return fmt.Errorf("%s%.40s} %s", placeholder, name, otherwise)
		}
		text = after
	}
}
