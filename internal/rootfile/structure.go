package rootfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

var errNoROOT = errors.New("it does not begin as a ROOT file")

// checkStructure looks at what the ROOT library takes on trust when it opens a file: lengths, for which it would allocate
// whatever they say, and the checksums of what lies compressed under the file's keys, the trees' own descriptions among them.
// It reads some kilobytes, all of which the library reads next. Baskets are checked when they are read: [checkBasket].
func checkStructure(src io.ReaderAt, size int64) error {
	f := rootFile{src: src, size: size}
	head, err := f.span("header", 0, min(size, 75))
	if err != nil {
		return err
	}
	if len(head) < 75 || !bytes.HasPrefix(head, []byte("root")) {
		return errNoROOT
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

// object checks what lies under a key.
func (f *rootFile) object(k key) error {
	if err := k.check(); err != nil {
		return err
	}
	b, err := f.span("object", k.at+k.head, k.bytes-k.head)
	if err != nil {
		return err
	}
	return k.checkObject(b)
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
