package eicrecon

import (
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/payload"
)

// verdict is the meaning of the program's end: nil for success. One status says more here than elsewhere: that of the shell which has
// nothing to start.
func (p *Payload) verdict(ch choice, res keeper.Result, stderr string) error {
	if res.Stopped == nil && res.ExitCode == noProgram {
		f, whose := exitcode.SiteNoProgram, ""
		if ch.named {
			f, whose = exitcode.DataInvalid, ", which the slice asks for,"
		}
		return exitcode.New(f, "%s: version %s%s cannot be started from %s%s", p.spec.Name, ch.version, whose, where(ch), payload.LastWords(stderr))
	}
	return p.spec.Verdict(res, stderr)
}

func where(ch choice) string {
	if ch.image == "" {
		return "this node"
	}
	return "the image " + ch.image
}
