// Command tfpilot-payload is the built-in payloads that run as processes of their own: the contract of docs/payloads.md.
package main

import (
	"os"

	"tfpilot/internal/program"
)

func main() { os.Exit(program.Main(app())) }
