package proc

import (
	"bytes"
	"fmt"
	"sync"
)

// Capture keeps the first and the last bytes of a stream of any length.
type Capture struct {
	mu      sync.Mutex
	head    []byte
	tail    []byte // a ring once it is full
	next    int
	total   int64
	headMax int
	tailMax int
}

// NewCapture keeps head bytes from the start and tail bytes from the end.
func NewCapture(head, tail int) *Capture { return &Capture{headMax: head, tailMax: tail} }

// Write takes everything and never fails, so that a program that floods us does not stall.
func (c *Capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	c.total += int64(n)
	if room := c.headMax - len(c.head); room > 0 {
		k := min(room, len(p))
		c.head = append(c.head, p[:k]...)
		p = p[k:]
	}
	if len(p) > c.tailMax {
		p = p[len(p)-c.tailMax:]
	}
	if room := c.tailMax - len(c.tail); room > 0 {
		k := min(room, len(p))
		c.tail = append(c.tail, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(c.tail[c.next:], p)
		c.next = (c.next + k) % len(c.tail)
		p = p[k:]
	}
	return n, nil
}

// Dropped is how many bytes between head and tail are gone.
func (c *Capture) Dropped() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total - int64(len(c.head)) - int64(len(c.tail))
}

// Bytes is the head, a line that says what was dropped, and the tail.
func (c *Capture) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b bytes.Buffer
	b.Write(c.head)
	if dropped := c.total - int64(len(c.head)) - int64(len(c.tail)); dropped > 0 {
		fmt.Fprintf(&b, "\n... %d bytes dropped ...\n", dropped)
	}
	b.Write(c.tail[c.next:])
	b.Write(c.tail[:c.next])
	return b.Bytes()
}

// String is Bytes as text.
func (c *Capture) String() string { return string(c.Bytes()) }
