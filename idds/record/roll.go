package record

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/version"
)

// Service is what a roll-call asks of idds.
type Service interface {
	Health(ctx context.Context) document.Health
	WorkersSince(ctx context.Context, namespace string, since time.Time) ([]document.Worker, error)
}

// Roll is who is alive.
type Roll struct {
	record  *Record
	service Service
	began   time.Time
	host    string
}

// NewRoll calls the roll of a service, and of all that a record has seen.
func NewRoll(r *Record, service Service) *Roll {
	host, _ := os.Hostname() // only for people
	return &Roll{r, service, r.cfg.Now().UTC(), host}
}

// order is that in which roles are listed; others come before pilots.
var order = map[string]int{"idds": 1, "harvester": 2, "daq": 3, "pilot": 5}

// Programs are those of a namespace, of all when it is empty: this one with its parts, those that say that they are alive, and those that
// send messages; but no pilots, which are many and in the store. Those of which nothing was heard for a day are left out.
func (r *Roll) Programs(ctx context.Context, namespace string) []document.Component {
	out := []document.Component{}
	if namespace == "" || namespace == r.record.cfg.Namespace {
		out = r.idds(ctx)
	}
	out = append(out, r.record.known(namespace)...)
	slices.SortStableFunc(out, Compare)
	return out
}

// Components are Programs, and pilots.
func (r *Roll) Components(ctx context.Context, namespace string) ([]document.Component, error) {
	out := r.Programs(ctx, namespace)
	pilots, err := r.service.WorkersSince(ctx, namespace, r.record.cfg.Now().Add(-forgotten))
	if err != nil {
		return nil, err
	}
	for i := range pilots {
		out = append(out, pilot(&pilots[i]))
	}
	slices.SortStableFunc(out, Compare)
	return out, nil
}

// Compare is the order of a roll.
func Compare(a, b document.Component) int {
	return cmp.Or(cmp.Compare(cmp.Or(order[a.Role], 4), cmp.Or(order[b.Role], 4)), cmp.Compare(a.Role, b.Role),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

// known are the components that a record knows.
func (r *Record) known(namespace string) (out []document.Component) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, c := range r.components {
		age := now.Sub(c.seen)
		if namespace != "" && k.namespace != namespace || age > forgotten {
			continue
		}
		d := c.doc
		beat := time.Duration(d.HeartbeatSeconds * float64(time.Second))
		d.Alive = d.State != stateExited && age <= 3*cmp.Or(beat, agentBeat)
		out = append(out, d)
	}
	return out
}

// idds is this program, and its parts.
func (r *Roll) idds(ctx context.Context) []document.Component {
	health := r.service.Health(ctx)
	parts := health.Parts
	if part, ok := r.record.Health(); ok {
		parts = append(parts, part)
	}
	one := document.Component{
		Namespace: r.record.cfg.Namespace, Name: "idds", Role: "idds", State: r.record.state(), Status: "OK", Hostname: r.host, PID: os.Getpid(),
		Version: version.String(), StartedAt: r.began, LastSeen: health.At, Alive: true,
	}
	out := []document.Component{one}
	var wrong []string
	for _, p := range parts {
		part := one
		part.Name, part.Details, part.Status = "idds/"+p.Name, p.Details, "OK"
		if !p.OK {
			part.Status = "ERROR"
			wrong = append(wrong, p.Name+": "+p.Details)
		}
		out = append(out, part)
	}
	if out[0].Details = strings.Join(wrong, "; "); len(wrong) > 0 {
		out[0].Status = "ERROR"
	}
	return out
}

// state is whether messages are coming in.
func (r *Record) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.saw.IsZero() && time.Since(r.saw) < 10*time.Second {
		return stateBusy
	}
	return statePresent
}

// pilot is a pilot by its latest report.
func pilot(w *document.Worker) document.Component {
	c := document.Component{
		Namespace: w.Namespace, Name: w.PilotID, Role: "pilot", Status: "OK", RunID: w.RunID, Hostname: w.Hostname, PID: w.PID, Version: w.Version,
		StartedAt: w.StartedAt, HeartbeatSeconds: w.HeartbeatSeconds, LastSeen: w.LastSeen, Alive: w.Alive,
		Details: fmt.Sprintf("%d of %d slots at work; %d slices done, %d failed", w.Busy(), w.Slots, w.Totals.Done, w.Totals.Failed),
	}
	switch {
	case w.Phase == document.WorkerEnded:
		c.State = stateExited
	case w.Phase == document.WorkerStarting:
		c.State = stateStarting
	case len(w.InHand) > 0:
		c.State = stateBusy
	default:
		c.State = statePresent
	}
	if w.Hold != "" {
		c.Status, c.Details = "WARNING", "takes no slice: "+w.Hold
	}
	if w.Exit != nil {
		c.Details = w.Exit.Name + ": " + w.Exit.Cause
		if w.Exit.Code != 0 && !exitcode.Class(w.Exit.Class).Blameless() {
			c.Status = "WARNING"
		}
	}
	bound(&c)
	return c
}
