package recent

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// What a line may have; of more it is cut off.
const (
	maxMessage = 4000
	maxName    = 200
	maxAttrs   = 30
	maxAttr    = 500
)

// serious is the name of a component's drawer for warnings and errors, after the component's own.
const serious = "\x00!"

// AddLogs keeps lines of a namespace's programs, and says how many of them it took: more than so many a second are too many.
func (m *Memory) AddLogs(name string, lines ...document.LogRecord) (taken int) {
	now := m.now().UTC()
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.space(name)
	for i := range lines {
		if !n.lines.AllowN(now, 1) {
			n.dropped += uint64(len(lines) - i)
			return i
		}
		l := tidy(lines[i], now)
		l.Namespace = name
		drawer := l.Component
		if level(l.Level) >= slog.LevelWarn {
			drawer += serious
		}
		m.number++
		n.latest = m.number
		n.logs.put(drawer, item[document.LogRecord]{number: m.number, at: now, size: sizeOfLine(&l), value: l})
	}
	return len(lines)
}

// Logs are lines of a query; those of one page in the order of their times, for programs send them in batches. Secrets in them are
// masked.
func (m *Memory) Logs(q Query) (document.RecentPage[document.LogRecord], error) {
	least, text := slog.LevelDebug, strings.ToLower(q.Text)
	if q.Level != "" {
		least = level(q.Level)
	}
	page, err := choose(m, &q, selection[document.LogRecord]{
		of: func(n *namespace) *shelf[document.LogRecord] { return n.logs },
		fits: func(drawer string) bool {
			name, grave := strings.CutSuffix(drawer, serious)
			return (q.Component == "" || q.Component == name) && (grave || least < slog.LevelWarn)
		},
		want: func(l *document.LogRecord) bool {
			return either(q.Role, l.Role) && either(q.Run, l.RunID) && either(q.Slice, l.Slice) && level(l.Level) >= least && (text == "" || finds(l, text))
		},
		show: mask,
	})
	slices.SortStableFunc(page.Items, func(a, b document.LogRecord) int { return a.At.Compare(b.At) })
	return page, err
}

// finds reports whether a text, in lower case, is to be found in a line as it is handed out: in what is masked nobody may search.
func finds(l *document.LogRecord, text string) bool {
	if !has(l, text) {
		return false
	}
	shown := mask(*l)
	return has(&shown, text)
}

// has reports whether a text, in lower case, is to be found in a line.
func has(l *document.LogRecord, text string) bool {
	if strings.Contains(strings.ToLower(l.Message), text) || strings.Contains(strings.ToLower(l.Component), text) {
		return true
	}
	for _, value := range l.Attrs {
		if strings.Contains(strings.ToLower(value), text) {
			return true
		}
	}
	return false
}

// either reports whether a value is the wanted one, or any will do.
func either(want, have string) bool { return want == "" || want == have }

// level is that of a line. Texts that name none, as peers may send them, are of ordinary lines.
func level(text string) slog.Level {
	switch strings.ToUpper(text) {
	case "DEBUG", "NOTSET":
		return slog.LevelDebug
	case "WARN", "WARNING":
		return slog.LevelWarn
	case "ERROR", "CRITICAL", "FATAL":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// tidy bounds a line, and gives it a time that can be.
func tidy(l document.LogRecord, now time.Time) document.LogRecord {
	if l.At.IsZero() || l.At.Sub(now) > message.MostAhead {
		l.At = now
	}
	l.At = l.At.UTC()
	l.Level = level(l.Level).String()
	l.Component, l.Role = message.Cut(cmp.Or(l.Component, "(nobody)"), maxName), message.Cut(l.Role, maxName)
	l.RunID, l.Slice, l.Message = message.Cut(l.RunID, maxName), message.Cut(l.Slice, 2*maxName), message.Cut(l.Message, maxMessage)
	if len(l.Attrs) > 0 {
		attrs := make(map[string]string, min(len(l.Attrs), maxAttrs))
		for i, key := range slices.Sorted(maps.Keys(l.Attrs)) {
			if i == maxAttrs {
				break
			}
			attrs[message.Cut(key, maxName)] = message.Cut(l.Attrs[key], maxAttr)
		}
		l.Attrs = attrs
	}
	return l
}

func sizeOfLine(l *document.LogRecord) int {
	n := 200 + len(l.Namespace) + len(l.Component) + len(l.Message) + len(l.RunID) + len(l.Slice)
	for key, value := range l.Attrs {
		n += 50 + len(key) + len(value)
	}
	return n
}

func mask(l document.LogRecord) document.LogRecord {
	l.Message = logging.Redact(l.Message)
	if l.Attrs = maps.Clone(l.Attrs); l.Attrs != nil {
		for key, value := range l.Attrs {
			l.Attrs[key] = logging.RedactValue(key, value)
		}
	}
	return l
}
