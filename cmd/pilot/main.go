// Command pilot holds a batch slot: it takes slices, runs payloads, publishes results.
package main

import (
	"os"

	"tfpilot/cmd/pilot/pilotcmd"
)

func main() { os.Exit(pilotcmd.Main()) }
