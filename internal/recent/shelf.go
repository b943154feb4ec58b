package recent

import "time"

// item is something on a shelf. Numbers grow in the order of coming.
type item[T any] struct {
	number uint64
	at     time.Time // when it came, by our clock
	size   int
	value  T
}

// drawer holds items in their order.
type drawer[T any] struct {
	items []item[T]
	size  int
}

func (d *drawer[T]) drop(n int) (size int) {
	for i := range n {
		size += d.items[i].size
		d.items[i] = item[T]{} // the array stays, and with it what it points to
	}
	d.items, d.size = d.items[n:], d.size-size
	return size
}

// latest is the number of the last item.
func (d *drawer[T]) latest() uint64 { return d.items[len(d.items)-1].number }

// bounds are of a shelf.
type bounds struct {
	items   int // of a drawer
	drawers int
	bytes   int // of all of it
}

// shelf has drawers by name, none of them empty.
type shelf[T any] struct {
	bounds

	drawers map[string]*drawer[T]
	size    int
	latest  uint64 // the number of the last item that came
}

func newShelf[T any](b bounds) *shelf[T] {
	return &shelf[T]{bounds: b, drawers: map[string]*drawer[T]{}}
}

// put puts an item into a drawer. What has no room for it goes.
func (s *shelf[T]) put(name string, it item[T]) {
	d := s.drawers[name]
	if d == nil {
		if len(s.drawers) >= s.bounds.drawers {
			s.dropSilent()
		}
		d = &drawer[T]{}
		s.drawers[name] = d
	}
	d.items, d.size = append(d.items, it), d.size+it.size
	s.size, s.latest = s.size+it.size, it.number
	if len(d.items) > s.items {
		s.size -= d.drop(1)
	}
	for s.size > s.bytes {
		s.dropLargest()
	}
}

// dropSilent drops the drawer into which nothing has come for longest.
func (s *shelf[T]) dropSilent() {
	var silent string
	first := ^uint64(0)
	for name, d := range s.drawers {
		if n := d.latest(); n < first {
			silent, first = name, n
		}
	}
	s.size -= s.drawers[silent].size
	delete(s.drawers, silent)
}

// dropLargest drops the older quarter of what lies in the largest drawer.
func (s *shelf[T]) dropLargest() {
	var largest string
	most := -1
	for name, d := range s.drawers {
		if d.size > most {
			largest, most = name, d.size
		}
	}
	d := s.drawers[largest]
	s.size -= d.drop((len(d.items) + 3) / 4)
	if len(d.items) == 0 {
		delete(s.drawers, largest)
	}
}
