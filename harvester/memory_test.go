package harvester_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"tfpilot/harvester"
)

// memory is a store without a disk, for tests of thousands of looks; harvester/sqlite is the real one.
type memory struct {
	workers   map[string]harvester.Worker
	documents map[string][]byte
}

var _ harvester.Store = (*memory)(nil)

func newMemory() *memory {
	return &memory{map[string]harvester.Worker{}, map[string][]byte{}}
}

func (m *memory) Put(_ context.Context, workers ...harvester.Worker) error {
	for _, w := range workers {
		m.workers[w.ID] = w
	}
	return nil
}

func (m *memory) Live(context.Context) ([]harvester.Worker, error) {
	return slices.DeleteFunc(m.all(), func(w harvester.Worker) bool { return !w.State.Live() }), nil
}

func (m *memory) Latest(_ context.Context, limit int) ([]harvester.Worker, error) {
	list := m.all()
	return list[:min(limit, len(list))], nil
}

func (m *memory) all() []harvester.Worker {
	return slices.SortedFunc(maps.Values(m.workers), func(a, b harvester.Worker) int {
		return cmp.Or(b.IntendedAt.Compare(a.IntendedAt), cmp.Compare(a.ID, b.ID))
	})
}

func (m *memory) Prune(_ context.Context, before time.Time) (tags []string, err error) {
	keep := map[string]bool{}
	for _, w := range m.workers {
		keep[w.Tag] = keep[w.Tag] || w.State.Live() || !w.ChangedAt.Before(before)
	}
	for tag, kept := range keep {
		if !kept {
			tags = append(tags, tag)
			maps.DeleteFunc(m.workers, func(_ string, w harvester.Worker) bool { return w.Tag == tag })
		}
	}
	return tags, nil
}

func (m *memory) Document(_ context.Context, name string, into any) (bool, error) {
	b, ok := m.documents[name]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(b, into)
}

func (m *memory) SetDocument(_ context.Context, name string, document any) (err error) {
	if document == nil {
		delete(m.documents, name)
		return nil
	}
	m.documents[name], err = json.Marshal(document)
	return err
}
