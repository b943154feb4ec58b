package slotend

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// Place is the slot that a pilot sits in, as far as it is known: some of it the batch system tells only later.
type Place interface {
	Document() document.Slot
	// End is the soonest of all ends; ok is false while none is known.
	End() (end End, ok bool)
	// Watch asks again, seldom, until ctx ends. It calls changed after every answer, with the error of one that did not come.
	Watch(ctx context.Context, changed func(error))
	// Suspended notes that everything stood still for a while. It returns at once.
	Suspended(d time.Duration)
	// ClockOff notes how far the clock of idds is ahead of ours.
	ClockOff(d time.Duration)
	// Taken says who took the slot back, after a signal; nil where nobody knows.
	Taken(ctx context.Context) error
}

// End is when the slot, or something that the pilot cannot do without, ends.
type End struct {
	At time.Time
	// Source says where that is known from.
	Source string
	// Cause is Walltime or Expiring.
	Cause exitcode.Failure
}

// endless is a place of which nothing is known.
type endless struct{}

func (endless) Document() document.Slot              { return document.Slot{} }
func (endless) End() (end End, ok bool)              { return End{}, false }
func (endless) Watch(context.Context, func(error))   {}
func (endless) Suspended(time.Duration)              {}
func (endless) ClockOff(time.Duration)               {}
func (endless) Taken(context.Context) (answer error) { return nil }
