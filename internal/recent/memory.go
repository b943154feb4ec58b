package recent

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tfpilot/internal/document"
)

const (
	// maxNamespaces is how many have shelves; of more, the one goes of which nothing came for longest.
	maxNamespaces = 8
	// linesPerSecond is how many lines of a namespace are taken in for long, and five times as many at once.
	linesPerSecond = 2000
)

var (
	logBounds     = bounds{items: 200, drawers: 1000, bytes: 4 << 20}
	messageBounds = bounds{items: 2000, drawers: 40, bytes: 6 << 20}
)

// Memory is what was said lately.
type Memory struct {
	now   func() time.Time
	epoch string // tells the numbers of this process from those of others
	since time.Time

	mu     sync.RWMutex
	number uint64
	of     map[string]*namespace
}

type namespace struct {
	logs     *shelf[document.LogRecord]
	messages *shelf[document.SeenMessage]
	lines    *rate.Limiter
	dropped  uint64 // lines that were too many
	latest   uint64 // the last number that was put anywhere
}

// New makes an empty memory. Its time is that of now; time.Now when nil.
func New(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, epoch: strings.ToLower(rand.Text()[:6]), since: now().UTC(), of: map[string]*namespace{}}
}

// space is a namespace's part. The lock is held.
func (m *Memory) space(name string) *namespace {
	n := m.of[name]
	if n == nil {
		if len(m.of) >= maxNamespaces {
			var silent string
			first := ^uint64(0)
			for name, n := range m.of {
				if n.latest < first {
					silent, first = name, n.latest
				}
			}
			delete(m.of, silent)
		}
		n = &namespace{
			logs: newShelf[document.LogRecord](logBounds), messages: newShelf[document.SeenMessage](messageBounds),
			lines: rate.NewLimiter(linesPerSecond, 5*linesPerSecond),
		}
		m.of[name] = n
	}
	return n
}

// Query selects; empty fields select all.
type Query struct {
	Namespace, Component, Run, Slice string
	// Text is to be found in it, in whatever case.
	Text string
	// Since leaves out what came before it, by our clock.
	Since time.Time
	// Role and Level (the least) are of log lines.
	Role, Level string
	// MsgType, Destination and Junk (nothing else) are of messages.
	MsgType, Destination string
	Junk                 bool
	// After is the Next of another page: of what has come since, the first are wanted. Without it the latest are.
	After string
	// Limit bounds the answer (0: 100).
	Limit int
}

// ErrCursor is what After is when it is none of ours.
var ErrCursor = errors.New("after is no cursor: hand back next as it was")

// cursor reads After. One of another process means nothing here, and selects like none.
func (m *Memory) cursor(text string) (after uint64, given bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	epoch, number, ok := strings.Cut(text, ".")
	after, err = strconv.ParseUint(number, 36, 64)
	if !ok || err != nil || epoch == "" {
		return 0, false, ErrCursor
	}
	if epoch != m.epoch {
		return 0, false, nil
	}
	return after, true, nil
}

// selection is what a query asks of one kind of things.
type selection[T any] struct {
	of   func(n *namespace) *shelf[T]
	fits func(name string) bool // a drawer
	want func(v *T) bool
	show func(v T) T // as it is handed out
}

// choose answers a query.
func choose[T any](m *Memory, q *Query, s selection[T]) (document.RecentPage[T], error) {
	page := document.RecentPage[T]{Items: []T{}, Since: m.since}
	after, given, err := m.cursor(q.After)
	if err != nil {
		return page, err
	}
	limit := cmp.Or(max(0, q.Limit), 100)
	m.mu.RLock()
	last := m.number
	var found []item[T]
	for name, n := range m.of {
		if q.Namespace != "" && q.Namespace != name {
			continue
		}
		page.Dropped += n.dropped
		for name, d := range s.of(n).drawers {
			if !s.fits(name) || d.latest() <= after {
				continue
			}
			for i := range d.items {
				if it := &d.items[i]; it.number > after && !it.at.Before(q.Since) && s.want(&it.value) {
					found = append(found, *it)
				}
			}
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(found, func(a, b item[T]) int { return cmp.Compare(a.number, b.number) })
	page.Follows = given && len(found) <= limit
	switch {
	case len(found) <= limit:
	case given:
		found = found[:limit]
		last = found[limit-1].number
	default:
		found = found[len(found)-limit:]
	}
	for i := range found {
		page.Items = append(page.Items, s.show(found[i].value))
	}
	page.Next = fmt.Sprintf("%s.%s", m.epoch, strconv.FormatUint(last, 36))
	return page, nil
}
