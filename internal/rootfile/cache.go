package rootfile

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"

	"tfpilot/internal/exitcode"
)

const (
	// blockSize is measured: with baskets of 128 KiB a slice of 66 of 1000 frames reads 1.8 times its bytes, with blocks of 256 KiB
	// 2.2 times.
	blockSize = 128 << 10
	maxBlocks = 128
	// aheadBlocks are read at once from far away.
	aheadBlocks = 4
)

// blockCache reads whole blocks below the ROOT library, which reads every basket twice and in small pieces, with a goroutine
// for every branch. It turns a short read into an error, because the library takes missing bytes for zeros, and hands out only
// baskets that are whole.
type blockCache struct {
	src  io.ReaderAt
	size int64
	// far says that a read takes a round trip: rather a few blocks too many than another one.
	far bool

	mu     sync.Mutex
	blocks map[int64][]byte
	order  []int64
	bytes  int64 // read from src
	failed error // of src, with a place of its own in the table of failures
	offset int64 // of Read
	// While basketsOnly, every read begins a basket or lies in one that was checked; those are in the order of the file.
	basketsOnly bool
	checked     []span
}

// span is a part of the file.
type span struct{ at, end int64 }

func newBlockCache(src io.ReaderAt, size int64) *blockCache {
	return &blockCache{src: src, size: size, blocks: map[int64][]byte{}}
}

// block returns one, and reads it when it is not there: with the next ones behind the last that was read, where far asks for that.
func (c *blockCache) block(n int64) ([]byte, error) {
	if b, ok := c.blocks[n]; ok {
		return b, nil
	}
	count := int64(1)
	if _, ok := c.blocks[n-1]; ok && c.far {
		for count < aheadBlocks && (n+count)*blockSize < c.size && c.blocks[n+count] == nil {
			count++
		}
	}
	all := make([]byte, min(count*blockSize, c.size-n*blockSize))
	got, err := c.src.ReadAt(all, n*blockSize)
	if got < len(all) {
		if f := exitcode.From(err); err != nil && f != exitcode.Internal {
			c.failed = err
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	c.bytes += int64(got)
	for i := range count {
		if len(c.order) >= maxBlocks {
			delete(c.blocks, c.order[0])
			c.order = c.order[1:]
		}
		c.blocks[n+i] = all[i*blockSize : min((i+1)*blockSize, int64(len(all)))]
		c.order = append(c.order, n+i)
	}
	return c.blocks[n], nil
}

// lost is why the source gave no more: a fault of the way there, not of the file.
func (c *blockCache) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// only says whether from now on baskets are read, or anything.
func (c *blockCache) only(baskets bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.basketsOnly = baskets
}

// ReadAt reads fully or fails.
func (c *blockCache) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.readAt(p, off)
	if err == nil && c.basketsOnly {
		err = c.check(p, off)
	}
	return n, err
}

// check looks at what was read if it is new.
func (c *blockCache) check(p []byte, off int64) error {
	end := off + int64(len(p))
	i, found := slices.BinarySearchFunc(c.checked, off, func(s span, at int64) int { return cmp.Compare(s.at, at) })
	if !found {
		i--
	}
	if i >= 0 && end <= c.checked[i].end {
		return nil
	}
	if err := checkBasket(p, off); err != nil {
		return err
	}
	c.checked = slices.Insert(c.checked, i+1, span{off, end})
	return nil
}

func (c *blockCache) readAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) && off < c.size {
		b, err := c.block(off / blockSize)
		if err != nil {
			return done, err
		}
		n := copy(p[done:], b[off%blockSize:])
		done, off = done+n, off+int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Read reads on from where it was.
func (c *blockCache) Read(p []byte) (int, error) {
	n := int64(len(p))
	if c.offset >= c.size {
		return 0, io.EOF
	}
	got, err := c.ReadAt(p[:min(n, c.size-c.offset)], c.offset)
	c.offset += int64(got)
	return got, err
}

// Close leaves the source to its owner.
func (c *blockCache) Close() error { return nil }
