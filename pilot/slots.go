package pilot

import (
	"fmt"
	"strconv"
)

// Slots is how many payloads a pilot runs at once: a number, or [AutoSlots].
type Slots int

// AutoSlots are as many as the slot of the batch system has cores and memory for.
const AutoSlots Slots = -1

// maxSlots is beyond any node: more of them are a slip of the finger, and each is a subscription at the broker.
const maxSlots = 4096

// UnmarshalText reads a number from 1, or auto.
func (n *Slots) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*n = AutoSlots
		return nil
	}
	i, err := strconv.Atoi(string(text))
	if err != nil || i < 1 || i > maxSlots {
		return fmt.Errorf("%q is neither auto nor 1 to %d", text, maxSlots)
	}
	*n = Slots(i)
	return nil
}

func (n Slots) String() string {
	if n == AutoSlots {
		return "auto"
	}
	return strconv.Itoa(int(n))
}
