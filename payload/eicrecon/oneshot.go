package eicrecon

import (
	"context"
	"io"
	"path/filepath"
	"strconv"

	"tfpilot/internal/container"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// oneshot works on a slice with a process of its own.
func (p *Payload) oneshot(ctx context.Context, r payload.Request, ch choice) (payload.Result, error) {
	name, err := outputName(r.Slice)
	if err != nil {
		return payload.Result{}, err
	}
	c := r.Slice.Content
	argv := p.commandLine(ch, r.Input, "-Ppodio:output_file="+filepath.Join(r.Dir, name),
		"-Pjana:nevents="+strconv.Itoa(c.Frames()), "-Pjana:nskip="+strconv.FormatInt(c.Start.Int64(), 10))
	meter := &keeper.Meter{}
	stdout, stderr := proc.NewCapture(kept, kept), proc.NewCapture(kept, kept)
	program, err := p.launch(ctx, r.Slot, ch, proc.Command{
		Path: argv[0], Args: argv[1:], Dir: r.Dir, Stdout: io.MultiWriter(stdout, r.Log.Stdout), Stderr: io.MultiWriter(stderr, r.Log.Stderr),
	}, keeper.Limits{Time: p.spec.Timeout, Meter: meter, Check: p.spec.Guard(r.Dir, meter).Check}, container.ReadOnly(r.Input))
	if err != nil {
		return payload.Result{}, err
	}
	ended, err := program.Wait()
	if err != nil {
		return payload.Result{}, err
	}
	usage := payload.UsageOf(ended, stdout, stderr)
	if err := p.verdict(ch, ended, usage.Stderr); err != nil {
		return payload.Result{Usage: usage}, err
	}
	// How many events there were is not told: the program reads to the end of its file and says nothing.
	res, err := p.result(ctx, r, name, c.Frames(), p.spec.Timeout-ended.Ran)
	res.Usage = usage
	res.Details = map[string]any{"nevents_processed": c.Frames(), "epic_version": ch.version}
	return res, err
}
