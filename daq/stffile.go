package daq

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/stf"
)

// Source makes time frames: a simulation, or the replay of something recorded.
type Source interface {
	// Geometry is the detector that the frames come from.
	Geometry() stf.Geometry
	// Frame is frame tf (from 0) of STF number sequence (from 1): always the same for the same numbers. It is called from
	// several goroutines. All frames have the same columns.
	Frame(sequence, tf int) (*stf.Frame, error)
}

// Write makes an STF file of the given number of frames at path. Frames are made on all cores and written in order; at most
// two per core are in memory. Nothing is at path before the file is complete. progress, if not nil, is told of every frame.
func Write(ctx context.Context, src Source, path string, sequence, frames int, progress func()) (stf.Summary, error) {
	sample, err := src.Frame(sequence, 0) // is made again in its turn: the file has to know its columns first
	if err != nil {
		return stf.Summary{}, fmt.Errorf("writing %s: %w", path, err)
	}
	w, err := stf.Create(path, src.Geometry(), sample)
	if err != nil {
		return stf.Summary{}, err
	}
	if err := fill(ctx, w, src, sequence, frames, progress); err != nil {
		w.Abort()
		if ctx.Err() != nil { // all others name the file
			err = fmt.Errorf("writing %s: %w", path, err)
		}
		return stf.Summary{}, err
	}
	return w.Close()
}

// fill hands each maker an own channel in turn, so that the frames come back in order without being sorted.
func fill(ctx context.Context, w *stf.Writer, src Source, sequence, frames int, progress func()) error {
	makers := min(runtime.GOMAXPROCS(0), frames)
	g, ctx := errgroup.WithContext(ctx)
	lanes := make([]chan *stf.Frame, makers)
	for m := range lanes {
		lane := make(chan *stf.Frame, 1)
		lanes[m] = lane
		g.Go(func() error {
			for tf := m; tf < frames; tf += makers {
				f, err := src.Frame(sequence, tf)
				if err != nil {
					return err
				}
				select {
				case lane <- f:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		for tf := range frames {
			select {
			case f := <-lanes[tf%makers]:
				if err := w.Write(f); err != nil {
					return err
				}
				if progress != nil {
					progress()
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return g.Wait()
}
