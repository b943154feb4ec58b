package pilot

import (
	"errors"
	"log/slog"
	"time"

	"tfpilot/internal/logging"
)

// errRebound says that the pilot serves another run from now on, and must select that.
var errRebound = errors.New("another run is served")

// serves is the run that the pilot serves, empty while it takes slices of any, and what is closed when that changes.
func (p *Pilot) serves() (run string, rebound <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run, p.rebound
}

func (p *Pilot) runNumber() string {
	run, _ := p.serves()
	return run
}

// serve has all slots serve a run, or any when it is empty. The caller holds p.mu.
func (p *Pilot) serve(run string) {
	p.run = run
	close(p.rebound)
	p.rebound = make(chan struct{})
}

// next has a pilot whose run is over wait for the next one, and reports whether it stays: idds keeps some of those that were started
// without a run, so that the next one need not wait for others to start. What is in hand of the old run is finished. A run that it
// serves no more it has left already.
func (p *Pilot) next(over string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if over != p.run {
		return true
	}
	if over == "" || !p.stays(time.Now()) {
		return false
	}
	p.log.Info("the run is over, and the pilot is kept for the next one", slog.String(logging.KeyRun, over))
	p.serve("")
	p.runState, p.stopped, p.staySaid = "", time.Time{}, false
	p.last, p.hadSlice = time.Now(), false
	clear(p.releases)
	p.heart.Soon()
	return true
}

// stays reports whether idds keeps the pilot between runs. The caller holds p.mu.
func (p *Pilot) stays(now time.Time) bool { return p.cfg.Run == "" && p.kept && p.hears(now) }

// hears reports whether what idds said last is still worth something. The caller holds p.mu.
func (p *Pilot) hears(now time.Time) bool { return p.asked.Add(3 * p.cfg.Heartbeat).After(now) }
