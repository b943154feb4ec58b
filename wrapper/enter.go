package wrapper

import (
	"context"
	"errors"

	"tfpilot/internal/container"
	"tfpilot/internal/proc"
)

// Entrance is where the payload's program would be started now: everything is ready for it.
type Entrance struct {
	// Program is what would be started.
	Program proc.Command
	// Inside makes a command that a person talks to ready to run in its place: in the same folder and environment, and in the same
	// container.
	Inside func(argv []string) (proc.Command, error)
}

// Enter has somebody in the place of the payload's program.
type Enter func(ctx context.Context, e Entrance) (proc.Result, error)

// ErrEntered is in the error of who waited for a program that stays: somebody was in its place, and has left.
var ErrEntered = errors.New("entered instead")

// visit has somebody in the place of a program.
func (p *programs) visit(ctx context.Context, box *container.Container, c proc.Command, binds []container.Bind) (proc.Result, error) {
	return p.enter(ctx, Entrance{Program: c, Inside: func(argv []string) (proc.Command, error) {
		inside := proc.Command{Path: argv[0], Args: argv[1:], Dir: c.Dir, Env: c.Env, Grace: c.Grace, Terminal: true}
		if box == nil {
			return inside, nil
		}
		return box.Shell(inside, append(binds, p.always...)...)
	}})
}
