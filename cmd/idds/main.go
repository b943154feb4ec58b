// Command idds follows every slice to its final state and says how many workers are wanted.
package main

import (
	"os"

	"tfpilot/cmd/idds/iddscmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(iddscmd.App())) }
