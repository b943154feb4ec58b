package rootfile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pierrec/xxHash/xxHash64"
)

// largeVersion is added to the version of a record whose positions have 64 bits; to that of a file, 1000 times as much.
const largeVersion = 1000

// maxRatio is more than any of ROOT's algorithms compresses.
const maxRatio = 1100

var (
	// errBeyond is the cause when something points out of its file or record.
	errBeyond   = errors.New("it points beyond its end")
	errChecksum = errors.New("its checksum is wrong")
)

// key is the head of a record: where it is, its length with this head, and how long its object is unpacked.
type key struct {
	at, bytes, head, unpacked int64
	class, name               string
}

// check refuses lengths that cannot be.
func (k *key) check() error {
	packed := k.bytes - k.head
	if k.head < 26 || packed <= 0 || k.unpacked <= 0 || k.unpacked > maxRatio*packed {
		return fmt.Errorf("%d bytes that unpack to %d", packed, k.unpacked)
	}
	return nil
}

// checkObject checks the packed object: blocks of nine bytes (algorithm, method, lengths packed and unpacked, of 24 bits each)
// and data. What has a checksum is compared with it: the library does not do so, and trusts what it unpacks.
func (k *key) checkObject(b []byte) error {
	if k.unpacked == int64(len(b)) {
		return nil // not compressed
	}
	rest := k.unpacked
	for len(b) >= 9 {
		algorithm, length, unpacked := string(b[:2]), uint24(b[3:]), uint24(b[6:])
		b = b[9:]
		if length > len(b) {
			return errBeyond
		}
		if err := checkBlock(algorithm, b[:length], int64(unpacked)); err != nil {
			return err
		}
		rest -= int64(unpacked)
		b = b[length:]
	}
	if len(b) > 0 || rest != 0 {
		return errors.New("its blocks do not add up")
	}
	return nil
}

func checkBlock(algorithm string, b []byte, unpacked int64) error {
	switch algorithm {
	case "ZL":
		return checkZlib(b, unpacked)
	case "L4":
		if len(b) < 8 {
			return errBeyond
		}
		if xxHash64.Checksum(b[8:], 0) != binary.BigEndian.Uint64(b) {
			return errChecksum
		}
		return nil
	case "ZS", "XZ":
		return nil // with checksums of their own
	default:
		return fmt.Errorf("unknown compression %q", algorithm)
	}
}

// checkZlib unpacks to the end, where the checksum is.
func checkZlib(packed []byte, want int64) error {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, want+1))
	if err == nil && n != want {
		err = fmt.Errorf("%d bytes, announced are %d", n, want)
	}
	return err
}

// checkBasket looks at a basket, as read from position at, as [checkStructure] does at the rest. The library unpacks it in a
// goroutine of its own, where a panic cannot be caught.
func checkBasket(b []byte, at int64) error {
	c := cursor{b: b}
	k := c.key()
	if c.err != nil || k.class != "TBasket" || k.at != at || k.bytes != int64(len(b)) {
		return fmt.Errorf("no basket at byte %d", at)
	}
	if err := k.check(); err != nil {
		return fmt.Errorf("basket of %.80q: %w", k.name, err)
	}
	c.skip(6) // version, size of the buffer
	if entry := int32(c.uint32()); entry < 0 {
		c.skip(1) // what ROOT writes since version 6.14 if asked to
	}
	entries, last := int64(int32(c.uint32())), int64(c.uint32())
	// 80 says that offsets are to be computed; everything else is of baskets that lie inside the tree's description.
	flag := c.skip(1)[0]
	if c.err != nil || entries < 0 || last < k.head || last > k.head+k.unpacked || (flag != 0 && flag != 80) {
		return fmt.Errorf("basket of %.80q at byte %d: %d entries until %d, flag %d", k.name, at, entries, last, flag)
	}
	// After the values lie the positions of the entries, and displacements of which nobody makes use, each as a list of its own.
	list := 4 + 4*(entries+1)
	if rest := k.head + k.unpacked - last; rest != 0 && rest != list && rest != 2*list {
		return fmt.Errorf("basket of %.80q at byte %d: %d bytes of positions for %d entries", k.name, at, rest, entries)
	}
	err := k.checkObject(b[k.head:])
	if err == nil && k.unpacked == k.bytes-k.head {
		err = checkOffsets(b[last:])
	}
	if err != nil {
		return fmt.Errorf("basket of %.80q at byte %d: %w", k.name, at, err)
	}
	return nil
}

// checkOffsets looks at what follows the values of counted arrays where it has no checksum: a count, and as many positions.
func checkOffsets(b []byte) error {
	c := cursor{b: b}
	if len(b) > 0 && int64(c.uint32()) > int64(len(c.b)/4) {
		return errBeyond
	}
	return nil
}

// cursor takes numbers from bytes, big-endian. After an error everything is zero.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) key() (k key) {
	k.bytes = int64(c.uint32())
	large := c.uint16() > largeVersion
	k.unpacked = int64(c.uint32())
	c.skip(4) // time
	k.head = int64(c.uint16())
	c.skip(2) // cycle
	k.at = c.position(large)
	c.skip(c.width(large)) // directory
	k.class = c.text()
	k.name = c.text()
	_ = c.text() // title
	return k
}

func (c *cursor) skip(n int) []byte {
	if c.err != nil || n > len(c.b) {
		c.err = errBeyond
		return make([]byte, n)
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) uint16() uint16 { return binary.BigEndian.Uint16(c.skip(2)) }
func (c *cursor) uint32() uint32 { return binary.BigEndian.Uint32(c.skip(4)) }

func (c *cursor) width(large bool) int {
	if large {
		return 8
	}
	return 4
}

func (c *cursor) position(large bool) int64 {
	if large {
		return int64(binary.BigEndian.Uint64(c.skip(8)))
	}
	return int64(c.uint32())
}

// text is a string by its length in one byte, or in four after 255.
func (c *cursor) text() string {
	n := int(c.skip(1)[0])
	if n == 255 {
		if n = int(c.uint32()); n > len(c.b) {
			c.err = errBeyond
			return ""
		}
	}
	return string(c.skip(n))
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
