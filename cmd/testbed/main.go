// Command testbed starts the whole chain on one machine, runs a plan and reports; or the embedded broker alone.
package main

import (
	"os"

	"tfpilot/cmd/testbed/testbedcmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(testbedcmd.App())) }
