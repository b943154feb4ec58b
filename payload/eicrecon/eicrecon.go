package eicrecon

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

// Payload is kind eicrecon. It may be called from several goroutines.
type Payload struct {
	spec  payload.Program
	sweep sync.Once // what killed pilots left

	mu    sync.Mutex
	slots []*slot
}

var _ payload.Payload = (*Payload)(nil)

// New makes the payload of a spec. That there is nothing to start is [exitcode.SiteNoProgram] now, before a slice has been taken for it.
func New(spec payloadfile.Spec) (*Payload, error) {
	if text := os.Getenv("EICRECON_TIMEOUT"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		limit := time.Duration(seconds * float64(time.Second))
		if err != nil || limit < time.Millisecond {
			return nil, exitcode.New(exitcode.Usage, "EICRECON_TIMEOUT=%.40q is no number of seconds", text)
		}
		spec.Timeout, spec.EICrecon.RequestTimeout = limit, limit
	}
	if err := look(spec); err != nil {
		return nil, err
	}
	if spec.Container == nil && spec.EICrecon.Image != payloadfile.NoImage {
		spec.Container = &container.Spec{} // so that nothing of this node's environment goes inside
	}
	return &Payload{spec: payload.Program{Spec: spec}}, nil
}

// look sees whether the reconstruction of the spec can be there. Where it names neither version nor image, slices may name others, and
// nothing can be said before one is there.
func look(spec payloadfile.Spec) error {
	e := spec.EICrecon
	ch, err := choose(e, message.SliceContent{})
	switch {
	case err != nil:
		return err
	case ch.image == "":
		if _, err := exec.LookPath("bash"); err != nil {
			return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w", err)
		}
		return nil
	case e.Image == "" && e.Version == "" && e.Mode != payloadfile.EICreconZMQ:
		return nil
	}
	inside := container.Spec{}
	if spec.Container != nil {
		inside = *spec.Container
	}
	inside.Image = ch.image
	_, err = container.New(inside, container.Place{Dir: spec.Dir})
	return imageError(err)
}

// imageError says where the image of a container that cannot be started was named.
func imageError(err error) error {
	if exitcode.From(err) != exitcode.SiteContainer {
		return err
	}
	return exitcode.WithNext(err, "compare image in [eicrecon] of the payload's TOML, or epic_image of the slice, with what is on this node (CVMFS?), and see which runtimes are installed")
}

// Run works on one slice with the reconstruction that it asks for.
func (p *Payload) Run(ctx context.Context, r payload.Request) (payload.Result, error) {
	ch, err := choose(p.spec.EICrecon, r.Slice.Content)
	if err != nil {
		return payload.Result{}, err
	}
	if ch.daemon {
		return p.resident(ctx, r, ch)
	}
	return p.oneshot(ctx, r, ch)
}
