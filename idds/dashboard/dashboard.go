// Package dashboard is the control-room page: what a shifter wants at a glance, live, and a page for each thing behind it. It is
// rendered by the server; a small script keeps it fresh by the events of /v1/events.
package dashboard

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"

	"tfpilot/idds"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/version"
)

//go:embed templates
var templates embed.FS

//go:embed static
var static embed.FS

// Config is what the page shows.
type Config struct {
	Service *idds.Service
	Store   ledger.Store
	// Namespace is shown to a token of every namespace.
	Namespace string
	// Board is what is to be seen at a glance of a namespace.
	Board func(ctx context.Context, namespace string) (message.Board, error)
	Log   *slog.Logger
}

// Pages are handlers by their patterns ("GET /runs/{run}"); all but those of StaticPattern are for whoever may look.
type Pages struct {
	cfg   Config
	pages map[string]*template.Template
}

// New parses all templates.
func New(cfg Config) (*Pages, error) {
	p := &Pages{cfg: cfg, pages: map[string]*template.Template{}}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := template.New("").Funcs(functions()).ParseFS(templates, "templates/layout.html.tmpl", name)
		if err != nil {
			return nil, fmt.Errorf("parsing a page: %w", err)
		}
		p.pages[name] = t
	}
	return p, nil
}

// StaticPattern is that of style, script and library, which are no secret.
const StaticPattern = "GET /static/"

// Static serves them.
func Static() http.Handler { return http.FileServerFS(static) }

// Handlers are the pages, by pattern.
func (p *Pages) Handlers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}": p.overview,
	}
}

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) {
	board, err := p.cfg.Board(r.Context(), p.namespace(r))
	p.render(w, r, "overview", "Control room", board, err)
}

// namespace is the one whose page is asked for.
func (p *Pages) namespace(r *http.Request) string {
	if ns := ledger.PrincipalOf(r.Context()).Namespace; ns != "" {
		return ns
	}
	if ns := r.URL.Query().Get("namespace"); ns != "" {
		return ns
	}
	return p.cfg.Namespace
}

// page is what every template gets.
type page struct {
	Title, Name, Namespace, Version string
	Who                             ledger.Principal
	Data                            any
	// Trouble says why the data is not there.
	Trouble string
}

// policy lets the page load what it needs from here and nothing from anywhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// render fills a page's template. Of what cannot be had it says so, on a page that stays up.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, name, title string, data any, err error) {
	v := page{Title: title, Name: name, Namespace: p.namespace(r), Version: version.String(), Who: ledger.PrincipalOf(r.Context()), Data: data}
	status := http.StatusOK
	if err != nil {
		status, v.Trouble = http.StatusServiceUnavailable, logging.Redact(err.Error())
	}
	var buf bytes.Buffer
	if err := p.pages["templates/"+name+".html"].ExecuteTemplate(&buf, "layout", v); err != nil {
		p.cfg.Log.ErrorContext(r.Context(), "a page cannot be rendered: a bug", slog.String("page", name), logging.Err(err))
		http.Error(w, "a bug of idds; its log says more", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // or the client is gone
}
