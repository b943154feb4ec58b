// Command wrapper runs one payload on one slice exactly as a pilot would, and shows everything about it.
package main

import (
	"os"

	"tfpilot/cmd/wrapper/wrappercmd"
	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(wrappercmd.App())) }
