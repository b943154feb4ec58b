package metrics

// Kept is how many workers are known.
func (m *Metrics) Kept() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.workers)
}
