package message_test

import (
	"testing"

	"tfpilot/internal/message"
)

func TestTheFirstTwoDoneResultsOfASliceAreCopiesForABroker(t *testing.T) {
	t.Parallel()
	id := func(attempt int, state string) string {
		return message.ResultDuplicateID("demo", "102023", "slice-1", attempt, state)
	}
	if id(1, message.StateDone) != id(2, message.StateDone) {
		t.Error("a second done result is no copy of the first")
	}
	for _, distinct := range [][2]string{
		{id(2, message.StateDone), id(3, message.StateDone)},
		{id(3, message.StateDone), id(4, message.StateDone)},
		{id(1, message.StateFailed), id(2, message.StateFailed)},
		{id(1, message.StateDone), id(1, message.StateFailed)},
	} {
		if distinct[0] == distinct[1] {
			t.Errorf("%s stands for two results", distinct[0])
		}
	}
}
