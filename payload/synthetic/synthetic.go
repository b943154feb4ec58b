package synthetic

import (
	"context"
	"strconv"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

// Payload is the fake.
type Payload struct {
	script  payloadfile.Synthetic
	timeout time.Duration
	child   *payload.Command // nil for a timer
}

var _ payload.Payload = (*Payload)(nil)

// New makes a fake of a spec of kind synthetic. builtin is the path of tfpilot-payload.
func New(spec payloadfile.Spec, builtin string) (*Payload, error) {
	p := &Payload{script: spec.Synthetic, timeout: spec.Timeout}
	if spec.InProcess() {
		return p, nil
	}
	s := spec.Synthetic
	spec.Kind = payloadfile.KindCommand
	spec.Command = []string{
		builtin, "synthetic", "--mode", s.Mode, "--duration", s.Duration.String(),
		"--size-mb", strconv.Itoa(s.SizeMB), "--permanent=" + strconv.FormatBool(s.Permanent),
	}
	child, err := payload.NewCommand(spec, builtin)
	p.child = child
	return p, err
}

// Prepare has nothing to prepare.
func (p *Payload) Prepare(context.Context, payload.Slot) (payload.Startup, error) {
	return payload.Startup{}, nil
}

// Close has nothing to end.
func (p *Payload) Close(context.Context) error { return nil }

// Run does what the script says. A slice of file_type fake or mock sleeps for its own slice_processing_time.
func (p *Payload) Run(ctx context.Context, r payload.Request) (payload.Result, error) {
	if p.child != nil {
		return p.child.Run(ctx, r)
	}
	c := r.Slice.Content
	d, late := time.Duration(0), false
	if p.script.Mode == "sleep" {
		d = p.script.Duration
		d, late = min(d, p.timeout), d > p.timeout
	}
	if Simulated(c.FileType) {
		d, late = c.ProcessingTime(), false // the producer's wish has no limit, as in the production worker
	}
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return payload.Result{}, exitcode.New(exitcode.Interrupted, "synthetic was ended: %w", context.Cause(ctx))
		}
	}
	if late {
		return payload.Result{}, exitcode.New(exitcode.PayloadTimeout, "synthetic ran longer than its %s", p.timeout)
	}
	var res payload.Result
	if !c.Start.IsZero() && !c.End.IsZero() && c.Frames() > 0 { // a simulated slice needs no range
		res.Counts = map[string]int64{"frames": int64(c.Frames())}
	}
	return res, nil
}

// Simulated reports whether a slice's file_type asks for simulated processing.
func Simulated(fileType string) bool { return fileType == "fake" || fileType == "mock" }
