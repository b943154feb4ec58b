package resident

import (
	"context"
	"fmt"
	"sync"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

// Payload is kind resident.
type Payload struct {
	spec payload.Program

	mu    sync.Mutex
	slots map[int]*slot
}

var _ payload.Payload = (*Payload)(nil)

// New makes the payload of a spec of kind resident. A program that is not there, or not executable, is [exitcode.SiteNoProgram] now.
func New(spec payloadfile.Spec) (*Payload, error) {
	p := payload.Program{Spec: spec}
	_, err := p.CommandLine(payload.Slot{})
	return &Payload{spec: p, slots: map[int]*slot{}}, err
}

// at is the slot of a number.
func (p *Payload) at(number int) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[number]
	if !ok {
		s = newSlot(p.spec)
		p.slots[number] = s
	}
	return s
}

// Prepare returns when the process in the slot is ready. One that died again and again, without a slice done in between, is
// waited for before it is started again.
func (p *Payload) Prepare(ctx context.Context, in payload.Slot) (payload.Startup, error) {
	s := p.at(in.Number)
	if err := s.take(ctx); err != nil {
		return payload.Startup{}, interrupted(p.spec, err)
	}
	defer s.give()
	if err := s.clear(ctx); err != nil {
		return payload.Startup{}, err
	}
	if s.process == nil {
		if err := pause.For(ctx, payload.Rest(s.deaths)); err != nil {
			return payload.Startup{}, interrupted(p.spec, err)
		}
	}
	return s.ready(ctx, in)
}

func interrupted(spec payload.Program, why error) error {
	return exitcode.New(exitcode.Interrupted, "preparing %s: %w", spec.Name, why)
}

// Run gives a slice to the process in its slot.
func (p *Payload) Run(ctx context.Context, r payload.Request) (payload.Result, error) {
	s := p.at(r.Slot.Number)
	if err := s.take(ctx); err != nil {
		return payload.Result{}, interrupted(p.spec, err)
	}
	defer s.give()
	return s.run(ctx, r)
}

// Close ends all processes, each in good order: its stdin is closed, and it has its grace.
func (p *Payload) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range p.slots {
		all.Go(func() {
			if s.take(ctx) == nil {
				defer s.give()
				s.close()
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not all processes have ended: %w", context.Cause(ctx))
	}
}
