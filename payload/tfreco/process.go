package tfreco

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
	"tfpilot/payload"
)

// OutputName is the ROOT file that a slice leaves in its folder: the tree `tracks` and the histograms.
const OutputName = "tracks.root"

// Process reconstructs the frames first..last (inclusive) of a file and writes [OutputName] into dir. Every frame's checksum
// is verified; a wrong one is an error of class data, and nothing is written then. It ends with ctx. A file at an https address is
// read by ranges, with the token of BEARER_TOKEN_FILE.
func Process(ctx context.Context, input string, first, last int, dir string) (res payload.Result, err error) {
	in, err := openInput(ctx, input)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	reco, err := New(in.Geometry(), Config{})
	if err != nil {
		return res, exitcode.New(exitcode.DataInvalid, "%s: %w", input, err)
	}
	out, err := createOutput(filepath.Join(dir, OutputName))
	if err != nil {
		return res, exitcode.New(exitcode.SiteNoSpace, "creating %s: %w", OutputName, err)
	}
	fills := newHistograms(in.Geometry())
	var frames, hits, events, tracks, skipped int64
	err = in.Read(first, last, func(f *stf.Frame) error {
		if ctx.Err() != nil {
			return exitcode.New(exitcode.Interrupted, "ended at frame %d: %w", f.TF, context.Cause(ctx))
		}
		found := reco.Reconstruct(f)
		fills.fill(f, found)
		frames++
		hits += int64(len(f.Time))
		events += int64(len(found.Events))
		tracks += int64(len(found.Tracks))
		skipped += int64(found.Skipped)
		if err := out.add(f.TF, found); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "writing %s: %w", OutputName, err)
		}
		return nil
	})
	if err != nil {
		return res, errors.Join(err, out.abandon())
	}
	if err := out.finish(fills.all()); err != nil {
		return res, exitcode.New(exitcode.SiteNoSpace, "finishing %s: %w", OutputName, err)
	}
	res = payload.Result{
		Counts:  map[string]int64{"frames": frames, "hits": hits, "events": events, "tracks": tracks},
		Outputs: []payload.Output{{Name: OutputName}},
	}
	for _, h := range fills.all() {
		res.Histograms = append(res.Histograms, *h)
	}
	if skipped > 0 {
		res.Warnings = append(res.Warnings, fmt.Sprintf("%d hits cannot be of this detector and were left out", skipped))
	}
	return res, nil
}
