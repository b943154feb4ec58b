package eicrecon

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/payload"
)

// Payload is kind eicrecon. It may be called from several goroutines.
type Payload struct {
	spec payload.Spec

	mu    sync.Mutex
	slots []*slot
}

var _ payload.Payload = (*Payload)(nil)

// New makes the payload of a spec. That there is nothing to start is [exitcode.SiteNoProgram] now, before a slice has been taken for it.
func New(spec payload.Spec) (*Payload, error) {
	if text := os.Getenv("EICRECON_TIMEOUT"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		limit := time.Duration(seconds * float64(time.Second))
		if err != nil || limit < time.Millisecond {
			return nil, exitcode.New(exitcode.Usage, "EICRECON_TIMEOUT=%.40q is no number of seconds", text)
		}
		spec.Timeout, spec.EICrecon.RequestTimeout = limit, limit
	}
	if spec.EICrecon.Image == payload.NoImage {
		if _, err := exec.LookPath("bash"); err != nil {
			return nil, exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w", err)
		}
	} else if _, err := containerRuntime(); err != nil {
		return nil, err
	}
	return &Payload{spec: spec}, nil
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
