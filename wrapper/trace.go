package wrapper

import (
	"sync"
	"time"

	"tfpilot/internal/keeper"
)

// trace keeps the samples of what runs in each slot, for those who want the curve of a slice.
type trace struct {
	mu    sync.Mutex
	slots map[int]*traced
}

type traced struct {
	samples []keeper.Sample
	cpu     time.Duration // that had been used when the slice came
}

// at is a slot. The caller holds t.mu.
func (t *trace) at(slot int) *traced {
	if t.slots == nil {
		t.slots = map[int]*traced{}
	}
	if t.slots[slot] == nil {
		t.slots[slot] = &traced{}
	}
	return t.slots[slot]
}

// follow has the samples of a program kept that is about to be started.
func (t *trace) follow(slot int, l keeper.Limits) keeper.Limits {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.at(slot) = traced{}
	l.Sample = func(s keeper.Sample) {
		t.mu.Lock()
		defer t.mu.Unlock()
		one := t.at(slot)
		one.samples = append(one.samples, s)
	}
	return l
}

// begin forgets what was before the slice.
func (t *trace) begin(slot int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.at(slot)
	if n := len(one.samples); n > 0 {
		one.cpu, one.samples = one.samples[n-1].CPU, nil
	}
}

// end gives the samples of the slice.
func (t *trace) end(slot int) []keeper.Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.at(slot)
	out, used := one.samples, one.cpu
	for i := range out {
		one.cpu = out[i].CPU
		out[i].CPU = max(0, out[i].CPU-used)
	}
	one.samples = nil
	return out
}
