package stompd

import (
	"errors"
	"time"

	"tfpilot/internal/stompframe"
)

// writer is the only one that writes to a client after CONNECTED. It gathers what waits, and beats when there is nothing.
type writer struct {
	c      *conn
	w      *stompframe.Writer
	beat   <-chan time.Time // the next heart-beat
	beats  <-chan time.Time // those after it
	synced uint64           // what is known to be on disk
	late   <-chan time.Time // the end of waiting, when the connection ends
}

func newWriter(c *conn, w *stompframe.Writer) *writer { return &writer{c: c, w: w} }

// run writes until the connection ends; every is the interval of heart-beats, 0: none.
func (o *writer) run(every time.Duration) {
	defer o.c.close()
	if every > 0 {
		t := time.NewTicker(every * 4 / 5)
		defer t.Stop()
		o.beat, o.beats = t.C, t.C
		if o.c.b.how.lateFirstBeat {
			o.beat = time.After(2 * every)
		}
	}
	var spare []outgoing
	for {
		select {
		case <-o.c.out.wake:
		case <-o.beat:
			if o.pulse() != nil {
				return
			}
			continue
		}
		frames, wasFull, closed := o.c.out.take(spare)
		if closed {
			_ = o.c.nc.SetWriteDeadline(time.Now().Add(goodbye))
			o.late = time.After(goodbye)
		}
		for i, f := range frames {
			if o.await(f.after) != nil || o.c.emit(o.w, f) != nil {
				return
			}
			frames[i] = outgoing{}
		}
		if o.w.Flush() != nil || closed {
			return
		}
		spare = frames
		if wasFull {
			o.c.serve()
		}
	}
}

// pulse writes a heart-beat.
func (o *writer) pulse() error {
	o.beat = o.beats
	return errors.Join(o.w.Write(nil), o.w.Flush())
}

// errGone ends the waiting for the disk.
var errGone = errors.New("the connection has ended")

// await returns when a record is on disk: nobody may hear of what a crash could undo.
func (o *writer) await(serial uint64) error {
	for serial > o.synced {
		synced, changed, err := o.c.b.disk.Progress()
		if o.synced = synced; serial <= synced {
			return nil
		}
		if err != nil {
			return err
		}
		if err := o.w.Flush(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-o.beat:
			if err := o.pulse(); err != nil {
				return err
			}
		case <-o.late:
			return errGone
		case <-o.c.done:
			return errGone
		}
	}
	return nil
}
