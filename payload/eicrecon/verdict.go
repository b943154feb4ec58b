package eicrecon

import (
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/payload"
)

// verdict is the meaning of the program's end: nil for success. Two statuses say more here than elsewhere: that of the shell which
// has nothing to start, and those that a container makes of a signal.
func (p *Payload) verdict(ch choice, res keeper.Result, stderr string) error {
	if res.Stopped == nil && res.ExitCode == noProgram {
		f, whose := exitcode.SiteNoProgram, ""
		if ch.named {
			f, whose = exitcode.DataInvalid, ", which the slice asks for,"
		}
		return exitcode.New(f, "%s: version %s%s cannot be started from %s%s", p.spec.Name, ch.version, whose, where(ch), payload.LastWords(stderr))
	}
	if signal := syscall.Signal(res.ExitCode - 128); signal > 0 && signal <= 64 {
		res.ExitCode, res.Signal = -1, signal.String()
	}
	return p.spec.Verdict(res, stderr)
}

func where(ch choice) string {
	if ch.image == "" {
		return "this node"
	}
	return "the image " + ch.image
}
