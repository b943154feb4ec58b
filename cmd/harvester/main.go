// Command harvester keeps pilots alive in a batch system.
package main

import (
	"os"

	"tfpilot/cmd/harvester/harvestercmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(harvestercmd.App())) }
