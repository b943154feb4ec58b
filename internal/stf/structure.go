package stf

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// largeVersion is added to the version of a record whose positions have 64 bits; to that of a file, 1000 times as much.
const largeVersion = 1000

// maxRatio is more than any of ROOT's algorithms compresses.
const maxRatio = 1100

// errBeyond is the cause when something points out of its file or record.
var errBeyond = errors.New("it points beyond its end")

// checkStructure looks at what the ROOT library takes on trust when it opens a file: lengths, for which it would allocate
// whatever they say, and the checksums of what lies compressed under the file's keys, the trees' own descriptions among them.
// It reads some kilobytes, all of which the library reads next. Baskets are not looked at: their hits have checksums.
func checkStructure(src io.ReaderAt, size int64) error {
	f := rootFile{src: src, size: size}
	head, err := f.span("header", 0, min(size, 75))
	if err != nil {
		return err
	}
	if len(head) < 75 || !bytes.HasPrefix(head, []byte("root")) {
		return errors.New("it does not begin as a ROOT file")
	}
	c := cursor{b: head[4:]}
	version := c.uint32()
	f.begin = int64(c.uint32())
	large := version >= 1000*largeVersion
	end, seekFree := c.position(large), c.position(large)
	nFree := int64(c.uint32())
	c.skip(4) // the number of free segments
	nName := int64(c.uint32())
	c.skip(5) // units and compression
	seekInfo := c.position(large)
	nInfo := int64(c.uint32())
	if end != size {
		return fmt.Errorf("it should have %d bytes and has %d", end, size)
	}
	name, err := f.span("name", f.begin, nName)
	if err != nil {
		return err
	}
	c = cursor{b: name}
	if c.key(); c.err != nil {
		return fmt.Errorf("name: %w", c.err)
	}
	for _, record := range []struct {
		name      string
		at, bytes int64
	}{{"free list", seekFree, nFree}, {"streamer info", seekInfo, nInfo}} {
		if record.at == 0 {
			continue
		}
		if err := f.record(record.name, record.at, record.bytes); err != nil {
			return err
		}
	}
	return f.keys(f.begin + nName)
}

// rootFile is a file whose structure is being checked.
type rootFile struct {
	src         io.ReaderAt
	size, begin int64
}

// keys checks the directory at a position, the list of its keys, and what lies under each.
func (f *rootFile) keys(at int64) error {
	dir, err := f.span("directory", at, min(64, f.size-at))
	if err != nil {
		return err
	}
	c := cursor{b: dir}
	large := c.uint16() > largeVersion
	c.skip(8) // times of creation and change
	nKeys := int64(c.uint32())
	c.skip(4) // length of the name, again
	c.skip(2 * c.width(large))
	seekKeys := c.position(large)
	if c.err != nil {
		return fmt.Errorf("directory: %w", c.err)
	}
	list, err := f.span("list of keys", seekKeys, nKeys)
	if err != nil {
		return err
	}
	c = cursor{b: list}
	own := c.key()
	if c.err != nil || own.at != seekKeys || own.bytes != nKeys || own.unpacked != own.bytes-own.head {
		return errors.New("the list of keys is not where the directory says")
	}
	n := int64(c.uint32())
	for range n {
		k := c.key()
		if c.err != nil {
			return fmt.Errorf("list of %d keys: %w", n, c.err)
		}
		if err := f.object(k); err != nil {
			return fmt.Errorf("key %.80q: %w", k.name, err)
		}
	}
	return nil
}

// record checks one that stands outside the list of keys.
func (f *rootFile) record(name string, at, length int64) error {
	b, err := f.span(name, at, length)
	if err != nil {
		return err
	}
	c := cursor{b: b}
	k := c.key()
	if c.err != nil || k.at != at || k.bytes != length {
		return fmt.Errorf("%s: not where the header says", name)
	}
	if err := f.object(k); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// object checks what lies under a key: blocks of nine bytes (algorithm, method, lengths packed and unpacked, of 24 bits each)
// and data.
func (f *rootFile) object(k key) error {
	packed := k.bytes - k.head
	if k.head < 26 || packed <= 0 || k.unpacked <= 0 || k.unpacked > maxRatio*packed {
		return fmt.Errorf("%d bytes that unpack to %d", packed, k.unpacked)
	}
	b, err := f.span("object", k.at+k.head, packed)
	if err != nil {
		return err
	}
	if k.unpacked == packed {
		return nil // not compressed
	}
	for len(b) >= 9 {
		length, unpacked := uint24(b[3:]), uint24(b[6:])
		if 9+length > len(b) {
			return errBeyond
		}
		if string(b[:2]) == "ZL" {
			if err := checkZlib(b[9:9+length], int64(unpacked)); err != nil {
				return err
			}
		}
		k.unpacked -= int64(unpacked)
		b = b[9+length:]
	}
	if len(b) > 0 || k.unpacked != 0 {
		return errors.New("its blocks do not add up")
	}
	return nil
}

// checkZlib unpacks to the end, where the checksum is: the library stops before.
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

// span reads a part of the file.
func (f *rootFile) span(name string, at, length int64) ([]byte, error) {
	if at < 0 || length <= 0 || at > f.size-length {
		return nil, fmt.Errorf("%s: %w", name, errBeyond)
	}
	b := make([]byte, length)
	if _, err := f.src.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// key is the head of a record: where it is, its length with this head, and how long its object is unpacked.
type key struct {
	at, bytes, head, unpacked int64
	name                      string
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
	_ = c.text()           // class
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
