package eicrecon

import (
	"context"
	"maps"
	"slices"

	"tfpilot/internal/container"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// start is what the shell in the image does: it sets the environment of the detector, which only a shell can, and becomes the
// reconstruction. Nothing of a slice is part of it: names come as its arguments.
const start = `set -e
setup=$1
shift
if [ ! -r "$setup" ]; then
	echo "there is no $setup" >&2
	exit 127
fi
tfpilot_args=("$@")
set --
source "$setup"
exec eicrecon "${tfpilot_args[@]}"
`

// noProgram is the status of start when there is no such version, or no reconstruction.
const noProgram = 127

// commandLine runs the reconstruction of a choice with arguments of its own.
func (p *Payload) commandLine(ch choice, args ...string) []string {
	argv := []string{"bash", "-c", start, "eicrecon", setup(p.spec.EICrecon, ch.version)}
	argv = append(append(argv, args...), "-Pjana:timeout=0", "-Pnthreads=1")
	for _, key := range slices.Sorted(maps.Keys(p.spec.EICrecon.Parameters)) {
		argv = append(argv, "-P"+key+"="+p.spec.EICrecon.Parameters[key])
	}
	return argv
}

// launch starts the reconstruction of a choice: in its image, where it sees its folder and binds, or on the node as it is.
func (p *Payload) launch(ctx context.Context, s payload.Slot, ch choice, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
	c.Env, c.Grace = p.spec.Environment(s, c.Dir), p.spec.Grace
	if ch.image == "" {
		return s.Start(ctx, c, l)
	}
	program, err := s.StartIn(ctx, ch.image, c, l, append(binds, container.ReadOnly("/cvmfs"))...)
	return program, imageError(err)
}
