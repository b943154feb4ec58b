// Command daq simulates the detector side: runs, time-frame files, slices.
package main

import (
	"os"

	"tfpilot/cmd/daq/daqcmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(daqcmd.App())) }
