package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/recent"
)

// Record is what is known beside slices.
type Record struct {
	// Recent is what was said and seen lately.
	Recent *recent.Memory
	// Components are the programs of a namespace, in the order of Compare; Beat notes that one is alive.
	Components func(ctx context.Context, namespace string) ([]document.Component, error)
	Compare    func(a, b document.Component) int
	Beat       func(c document.Component)
}

// reporters may say what they do.
var reporters = []access.Role{access.Pilot, access.Harvester, access.Operator}

func (a *api) registerRecord(h huma.API) {
	register(h, operation(http.MethodPost, "/v1/components", "That a program is alive, and what it does", reporters...), a.beat)
	register(h, operation(http.MethodGet, "/v1/components", "Programs that were seen in the last day, with whether they are alive, in pages", readers...), a.components)
	register(h, operation(http.MethodPost, "/v1/logs", "Lines of a program's log", reporters...), a.addLogs)
	register(h, operation(http.MethodGet, "/v1/logs", "Lines of programs' logs that came lately, the oldest first; kept in memory alone", readers...), a.logs)
	register(h, operation(http.MethodGet, "/v1/messages", "Messages that were seen lately, the oldest first; kept in memory alone", readers...), a.messages)
	register(h, operation(http.MethodGet, "/v1/tf-files", "Time-frame files of a run, in pages", readers...), a.tfFiles)
}

// own is the namespace that somebody speaks of himself in.
func (a *api) own(ctx context.Context, said string) (string, error) {
	namespace, err := scope(ctx, said)
	return cmp.Or(namespace, a.cfg.Namespace), err
}

func (a *api) beat(ctx context.Context, in *body[document.Component]) (*body[document.Component], error) {
	var err error
	if in.Body.Namespace, err = a.own(ctx, in.Body.Namespace); err != nil {
		return nil, err
	}
	a.cfg.Record.Beat(in.Body)
	return in, nil
}

func (a *api) components(ctx context.Context, in *struct {
	About

	Role  string `query:"role" maxLength:"50" doc:"only of this role, such as pilot, harvester, idds, daq"`
	Alive bool   `query:"alive" doc:"only those that are alive"`
	After string `query:"after" maxLength:"4000" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many at most"`
},
) (*body[document.Page[document.Component]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	var after document.Component
	if err := readCursor(in.After, &after); err != nil {
		return nil, err
	}
	list, err := a.cfg.Record.Components(ctx, namespace)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.Component]]{}
	out.Body.Items = []document.Component{}
	for _, c := range list {
		switch {
		case in.After != "" && a.cfg.Record.Compare(c, after) <= 0:
		case in.Role != "" && c.Role != in.Role, in.Alive && !c.Alive, in.Run != "" && c.RunID != in.Run:
		case len(out.Body.Items) == in.Limit:
			last := &out.Body.Items[in.Limit-1]
			out.Body.Next, err = cursor(document.Component{Namespace: last.Namespace, Role: last.Role, Name: last.Name})
			return out, err
		default:
			out.Body.Items = append(out.Body.Items, c)
		}
	}
	return out, nil
}

func (a *api) addLogs(ctx context.Context, in *body[document.LogBatch]) (*body[document.LogReceipt], error) {
	out := &body[document.LogReceipt]{}
	for lines := in.Body.Records; len(lines) > 0; {
		namespace, err := a.own(ctx, lines[0].Namespace)
		if err != nil {
			return nil, err
		}
		n := 1 // those of one namespace at a time
		for n < len(lines) && lines[n].Namespace == lines[0].Namespace {
			n++
		}
		taken := a.cfg.Record.Recent.AddLogs(namespace, lines[:n]...)
		out.Body.Taken, out.Body.Dropped = out.Body.Taken+taken, out.Body.Dropped+n-taken
		lines = lines[n:]
	}
	return out, nil
}

// Lately is what is asked of what came lately.
type Lately struct {
	About

	Component string    `query:"component" maxLength:"200" doc:"only of this program; of messages, only those that it has sent"`
	Slice     string    `query:"slice" maxLength:"400" doc:"only of this slice"`
	Text      string    `query:"text" maxLength:"200" doc:"only with this text in it, in whatever case"`
	Since     time.Time `query:"since" doc:"only what came then or later, by the clock of this service"`
	After     string    `query:"after" maxLength:"100" doc:"cursor: next of the page before; then what came after it, the first of it. Without it the latest"`
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most"`
}

var _ huma.Resolver = (*Lately)(nil)

// Resolve refuses a time that is there and says nothing, which would else mean none.
func (l *Lately) Resolve(ctx huma.Context) []error {
	if u := ctx.URL(); l.Since.IsZero() && u.Query().Has("since") {
		return []error{&huma.ErrorDetail{Message: "not a date and time", Location: "query.since", Value: u.Query().Get("since")}}
	}
	return nil
}

func (l *Lately) query(ctx context.Context) (recent.Query, error) {
	namespace, err := scope(ctx, l.Namespace)
	return recent.Query{
		Namespace: namespace, Run: l.Run, Component: l.Component, Slice: l.Slice, Text: l.Text, Since: l.Since, After: l.After, Limit: l.Limit,
	}, err
}

func (a *api) logs(ctx context.Context, in *struct {
	Lately

	Role  string `query:"role" maxLength:"50" doc:"only of programs of this role"`
	Level string `query:"level" enum:"DEBUG,INFO,WARN,ERROR," doc:"only lines of this level or a higher one"`
},
) (*body[document.RecentPage[document.LogRecord]], error) {
	q, err := in.query(ctx)
	if err != nil {
		return nil, err
	}
	q.Role, q.Level = in.Role, in.Level
	page, err := a.cfg.Record.Recent.Logs(q)
	return &body[document.RecentPage[document.LogRecord]]{page}, badCursor(err)
}

func (a *api) messages(ctx context.Context, in *struct {
	Lately

	Type        string `query:"type" maxLength:"200" doc:"only of this msg_type"`
	Destination string `query:"destination" maxLength:"400" doc:"only those sent to this destination"`
	Junk        bool   `query:"junk" doc:"only what is no message that the service understands"`
},
) (*body[document.RecentPage[document.SeenMessage]], error) {
	q, err := in.query(ctx)
	if err != nil {
		return nil, err
	}
	q.MsgType, q.Destination, q.Junk = in.Type, in.Destination, in.Junk
	page, err := a.cfg.Record.Recent.Messages(q)
	return &body[document.RecentPage[document.SeenMessage]]{page}, badCursor(err)
}

func badCursor(err error) error {
	if errors.Is(err, recent.ErrCursor) {
		return huma.Error422UnprocessableEntity(err.Error())
	}
	return err
}

func (a *api) tfFiles(ctx context.Context, in *struct {
	Scope
	PageQuery

	Run string `query:"run" required:"true" minLength:"1" maxLength:"200" doc:"of this run"`
	STF string `query:"stf" maxLength:"1000" doc:"only of this STF file"`
},
) (*body[document.Page[document.TFFile]], error) {
	namespace, err := a.own(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	var after ledger.Key
	if err := readCursor(in.After, &after); err != nil {
		return nil, err
	}
	f := ledger.TFFilter{Namespace: namespace, Run: in.Run, AfterSTF: after.Run, AfterName: after.Identity, Limit: in.Limit}
	if in.STF != "" {
		f.STF = ledger.FileName(in.STF)
	}
	list, err := a.store.TFFiles(ctx, f)
	out := &body[document.Page[document.TFFile]]{}
	out.Body.Items = append([]document.TFFile{}, list...)
	if err == nil && len(list) == in.Limit {
		last := &list[len(list)-1]
		out.Body.Next, err = cursor(ledger.Key{Run: last.STF, Identity: last.Filename})
	}
	return out, err
}
