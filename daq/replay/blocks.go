package replay

import (
	"slices"
	"sync"

	"tfpilot/internal/stf"
)

const (
	// defaultMemory is for large blocks: a basket of the file is unpacked once for every block that has a part of it, so small ones
	// would cost time where a producer writes large baskets.
	defaultMemory = 48 << 20
	// keptBlocks are enough for frames that are made side by side: they lie in one block, or on the border of two.
	keptBlocks = 3
)

// blocks reads a file in blocks of events and keeps the last ones used.
type blocks struct {
	events int // of a block

	mu     sync.Mutex
	reader *stf.EventReader
	kept   []block // the one used last comes last
}

type block struct {
	number int
	events *stf.Events
}

func newBlocks(r *stf.EventReader, memory int64) *blocks {
	bytes := max(1, r.Hits()*int64(r.HitBytes())/int64(r.Len())) // of an event
	return &blocks{events: int(max(1, min(memory/keptBlocks/bytes, int64(r.Len())))), reader: r}
}

func (b *blocks) size() int { return b.reader.Len() }

func (b *blocks) close() error { return b.reader.Close() }

// holding is the block with an event of the file, and the number of its first event.
func (b *blocks) holding(event int) (first int, events *stf.Events, err error) {
	number := event / b.events
	first = number * b.events
	b.mu.Lock() // while it is read, too: who waits here most likely wants the same
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept, func(k block) bool { return k.number == number })
	if i >= 0 {
		k := b.kept[i]
		b.kept = append(slices.Delete(b.kept, i, i+1), k)
		return first, k.events, nil
	}
	if events, err = b.reader.Read(first, min(first+b.events, b.size())-1); err != nil {
		return 0, nil, err
	}
	if len(b.kept) == keptBlocks {
		b.kept = slices.Delete(b.kept, 0, 1)
	}
	b.kept = append(b.kept, block{number, events})
	return first, events, nil
}
