package storewatch

import (
	"sync"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
)

// pulseLimit is how long a write may be under way before that is said.
const pulseLimit = 3 * time.Second

// pulse is how the last tries to write went.
type pulse struct {
	mu    sync.Mutex
	began time.Time // of the one under way, zero when there is none
	tried bool
	err   error
	since time.Time // when it began to be as it is
}

func (p *pulse) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = now
}

func (p *pulse) end(err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tried || (err == nil) != (p.err == nil) {
		p.since = now
	}
	p.began, p.tried, p.err = time.Time{}, true, err
}

// health says how the store is.
func (p *pulse) health(now time.Time) document.HealthPart {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := document.HealthPart{Name: "store", OK: true, Details: "can be written", Since: p.since.UTC()}
	switch took := now.Sub(p.began); {
	case !p.began.IsZero() && took > pulseLimit:
		part.OK, part.Since = false, p.began.UTC()
		part.Details = "a write has been under way for " + took.Round(time.Second).String() + ": somebody has locked it, or its disk or server hangs"
	case !p.tried:
		part.OK, part.Details = false, "was not written to yet"
	case p.err != nil:
		part.OK, part.Details = false, logging.Redact(p.err.Error())
	}
	return part
}
