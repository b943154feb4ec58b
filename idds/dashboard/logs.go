package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/recent"
)

// Recent is what programs and messages have said of late.
type Recent interface {
	Logs(q recent.Query) (document.RecentPage[document.LogRecord], error)
	Messages(q recent.Query) (document.RecentPage[document.SeenMessage], error)
}

// linesShown is how many lines and how many messages the page has.
const linesShown = 200

type logsPage struct {
	Component, Run, Slice, Level, Text, MsgType string

	Junk     bool
	Lines    news[document.LogRecord]
	Messages news[document.SeenMessage]
	Since    time.Time
	Dropped  uint64
}

// logs are the recent log lines and messages, the last first.
func (p *Pages) logs(r *http.Request, v *page) error {
	v.Title = "Logs and messages"
	q := r.URL.Query()
	data := logsPage{
		Component: q.Get("component"), Run: q.Get("run"), Slice: q.Get("slice"), Level: q.Get("level"), Text: q.Get("text"), MsgType: q.Get("msg_type"), Junk: q.Get("junk") != "",
	}
	v.Data = &data
	lines, err := newsOf(v, "lines", func(after string) (document.RecentPage[document.LogRecord], error) {
		return p.cfg.Recent.Logs(recent.Query{
			Namespace: p.namespace(r), Component: data.Component, Run: data.Run, Slice: data.Slice, Level: data.Level, Text: data.Text, Limit: linesShown, After: after,
		})
	})
	seen, merr := newsOf(v, "messages", func(after string) (document.RecentPage[document.SeenMessage], error) {
		return p.cfg.Recent.Messages(recent.Query{
			Namespace: p.namespace(r), Component: data.Component, Run: data.Run, Slice: data.Slice, MsgType: data.MsgType, Text: data.Text, Junk: data.Junk, Limit: linesShown,
			After: after,
		})
	})
	data.Lines, data.Messages, data.Since, data.Dropped = lines, seen, lines.since, lines.dropped
	return errors.Join(err, merr)
}

// news are the rows of a table that grows at its head, the last first. Whoever has the table already names the cursor that came with it
// (?ID_after=CURSOR) and gets what has come since, to be put before the rest: the script does (page.js).
type news[T any] struct {
	// ID is the table's; empty for one that does not grow.
	ID    string
	Items []T
	// Next is the cursor that goes on from here, After the one that these follow; empty when these are all.
	Next, After string
	// Most is how many rows the table has, all in all.
	Most int

	since   time.Time
	dropped uint64
}

// newsOf asks for what has come since the cursor in the address, or for all when that is too much, or the cursor is of another process.
func newsOf[T any](v *page, id string, ask func(after string) (document.RecentPage[T], error)) (news[T], error) {
	key := id + "_after"
	after := v.query.Get(key)
	v.query.Del(key) // no link leads to it
	list, err := ask(after)
	if err != nil {
		return news[T]{}, err
	}
	if after != "" && !list.Follows {
		if list, err = ask(""); err != nil {
			return news[T]{}, err
		}
		after = ""
	}
	slices.Reverse(list.Items)
	return news[T]{ID: id, Items: list.Items, Next: list.Next, After: after, Most: linesShown, since: list.Since, dropped: list.Dropped}, nil
}
