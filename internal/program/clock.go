package program

import (
	"os"
	"time"

	"tfpilot/internal/exitcode"
)

// ClockEnv holds a duration by which a program's clock is off, for `testbed chaos`: a machine's clock cannot be set for one
// program alone, and libraries that pretend to do not reach static programs.
const ClockEnv = "TFPILOT_CLOCK_OFFSET"

// Clock is time.Now, or what a machine would say whose clock is off.
func Clock() (func() time.Time, error) {
	text := os.Getenv(ClockEnv)
	if text == "" {
		return time.Now, nil
	}
	offset, err := time.ParseDuration(text)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "%s: %w", ClockEnv, err)
	}
	return func() time.Time { return time.Now().Add(offset) }, nil
}
