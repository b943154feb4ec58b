package stompd

import (
	"errors"
	"fmt"
	"net"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// next reads a frame that no fault drops.
func (c *conn) next(r *stompframe.Reader) (*frame.Frame, Fault, error) {
	for {
		f, err := r.Read()
		if err != nil {
			return nil, Fault{}, err
		}
		if c.b.cfg.Fault != nil {
			c.wake() // it may wait
		}
		if fault := c.fault(true, f); f != nil && !fault.Drop {
			return f, fault, nil
		}
	}
}

// read handles frames until the client leaves, falls silent, or is refused.
func (c *conn) read(r *stompframe.Reader) error {
	for {
		if !c.out.await(silentLimit, c.done, c.wake) {
			return refuse("what is sent to this client is not read")
		}
		f, fault, err := c.next(r)
		switch {
		case errors.Is(err, stompframe.ErrTooLarge), errors.Is(err, frame.ErrInvalidCommand), errors.Is(err, frame.ErrInvalidFrameFormat):
			return refuse("%v", err)
		case err != nil:
			if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
				return refuse("nothing heard for %s", c.patience)
			}
			return err
		}
		bye, err := c.handle(f, fault)
		if err != nil || bye {
			return err
		}
	}
}

// handle does what a frame asks for, or what a fault wants, and answers.
func (c *conn) handle(f *frame.Frame, fault Fault) (bye bool, err error) {
	if fault.CutBefore {
		return false, errCut
	}
	id, wantsReceipt := f.Header.Contains(frame.Receipt)
	if fault.Refuse != "" {
		err = refuse("%s", fault.Refuse)
	} else {
		bye, err = c.command(f)
	}
	if fault.CutAfter {
		c.close() // before anything of the answer is put
		return false, errCut
	}
	if err != nil {
		c.answer(errorFrame(err.Error(), id))
		if c.b.how.endures {
			return false, nil
		}
		return false, fmt.Errorf("%s refused: %s", f.Command, err.Error()) // no refusal any more: it is said
	}
	if wantsReceipt {
		c.answer(frame.New(frame.RECEIPT, frame.ReceiptId, id))
	}
	if fault.Twice {
		return c.handle(f, Fault{})
	}
	return bye, nil
}

// answer puts a frame that tells what became of a command: when that is on disk.
func (c *conn) answer(f *frame.Frame) {
	c.out.add(outgoing{frame: f, after: c.after})
	c.touch(c.out)
}

func (c *conn) command(f *frame.Frame) (bye bool, err error) {
	switch f.Command {
	case frame.SEND:
		return false, c.send(f)
	case frame.SUBSCRIBE:
		return false, c.subscribe(f)
	case frame.UNSUBSCRIBE:
		return false, c.unsubscribe(f)
	case frame.ACK, frame.NACK:
		return false, c.settle(f)
	case frame.BEGIN, frame.COMMIT, frame.ABORT:
		return false, c.transact(f)
	case frame.DISCONNECT:
		c.detach() // before the RECEIPT: whoever hears it may have the messages and the client-id
		return true, nil
	default:
		return false, refuse("%s is not supported", f.Command)
	}
}

func errorFrame(text, receipt string) *frame.Frame {
	f := frame.New(frame.ERROR, frame.Message, text)
	if receipt != "" {
		f.Header.Add(frame.ReceiptId, receipt)
	}
	f.Body = []byte(text)
	return f
}
