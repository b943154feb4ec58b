package stompd

import (
	"errors"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// Passing is a frame on its way, as Config.Fault is asked about it.
type Passing struct {
	// Frame is the frame itself. A fault may change its headers or its body: a `redelivered` that lies is
	// p.Header.Set("redelivered", "false").
	*frame.Frame
	// In: it comes from the client and nothing was done about it yet. Otherwise it goes to the client and is not written yet.
	In bool
	// Conn counts the broker's connections from 1; Client is the client-id, empty when there is none.
	Conn   uint64
	Client string
	// Done is closed when the connection ends, for faults that wait.
	Done <-chan struct{}
}

// Fault is what becomes of a frame; the zero value is what should.
type Fault struct {
	// Drop loses it. Of a RECEIPT the client waits for ever; of a SEND the broker knows nothing.
	Drop bool
	// Twice is once too often.
	Twice bool
	// Late, of a frame to the client: it comes when the channel is closed, and those behind it come before.
	Late <-chan struct{}
	// Refuse, of a frame from the client: nothing is done and this is the ERROR.
	Refuse string
	// CutBefore ends the connection instead of handling or writing the frame; CutAfter when that is done, and of a frame from
	// the client before anything is answered.
	CutBefore, CutAfter bool
}

// errCut ends a connection by a fault.
var errCut = errors.New("cut by a fault")

// fault asks what becomes of a frame.
func (c *conn) fault(in bool, f *frame.Frame) Fault {
	if c.b.cfg.Fault == nil || f == nil {
		return Fault{}
	}
	return c.b.cfg.Fault(Passing{Frame: f, In: in, Conn: c.number, Client: c.called, Done: c.done})
}

// emit writes a frame, or does to it what a fault wants.
func (c *conn) emit(w *stompframe.Writer, f outgoing) error {
	var fault Fault
	if !f.asked {
		fault = c.fault(false, f.frame)
	}
	switch {
	case fault.CutBefore:
		return errors.Join(w.Flush(), errCut)
	case fault.Drop:
		return nil
	case fault.Late != nil:
		c.late.Go(func() {
			select {
			case <-fault.Late:
				c.out.add(outgoing{frame: f.frame, asked: true})
				c.out.signal()
			case <-c.done:
			}
		})
		return nil
	case fault.Twice:
		if err := w.Write(f.frame); err != nil {
			return err
		}
	}
	err := w.Write(f.frame)
	if err == nil && fault.CutAfter {
		err = errors.Join(w.Flush(), errCut)
	}
	return err
}
