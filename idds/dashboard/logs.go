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
	Lines    []document.LogRecord
	Messages []document.SeenMessage
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
	lines, err := p.cfg.Recent.Logs(recent.Query{
		Namespace: p.namespace(r), Component: data.Component, Run: data.Run, Slice: data.Slice, Level: data.Level, Text: data.Text, Limit: linesShown,
	})
	seen, merr := p.cfg.Recent.Messages(recent.Query{
		Namespace: p.namespace(r), Component: data.Component, Run: data.Run, Slice: data.Slice, MsgType: data.MsgType, Text: data.Text, Junk: data.Junk, Limit: linesShown,
	})
	data.Lines, data.Messages, data.Since, data.Dropped = lines.Items, seen.Items, lines.Since, lines.Dropped
	slices.Reverse(data.Lines)
	slices.Reverse(data.Messages)
	return errors.Join(err, merr)
}
