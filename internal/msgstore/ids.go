package msgstore

// IDs are the last duplicate ids that an address has seen, in a ring.
type IDs struct {
	store   *Store
	address string
	known   map[string]struct{}
	ring    []*keptID
	next    int
	size    int
	last    uint64 // serial number
}

// IDs makes the memory of an address, for so many ids.
func (s *Store) IDs(address string, size int) *IDs {
	return &IDs{store: s, address: address, known: map[string]struct{}{}, size: size}
}

// Has reports whether an id was seen.
func (c *IDs) Has(id string) bool {
	_, ok := c.known[id]
	return ok
}

// Add remembers an id that was not seen.
func (c *IDs) Add(id string) {
	k := &keptID{address: c.address, serial: c.last + 1, id: id}
	k.entry = c.store.keep(k)
	c.put(k)
}

// put takes the id with the next serial number, in the place of the oldest.
func (c *IDs) put(k *keptID) {
	c.known[k.id] = struct{}{}
	c.last = k.serial
	if len(c.ring) < c.size {
		c.ring = append(c.ring, k)
		return
	}
	old := c.ring[c.next]
	delete(c.known, old.id)
	c.store.drop(old.entry)
	c.ring[c.next] = k
	c.next = (c.next + 1) % c.size
}
