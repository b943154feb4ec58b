// Command pilot holds a batch slot: it takes slices, runs payloads, publishes results.
package main

import (
	"os"

	"tfpilot/cmd/pilot/pilotcmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(pilotcmd.App())) }
