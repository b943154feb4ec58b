package dashboard

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
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
	Board func(ctx context.Context, namespace string) (document.Board, error)
	// Components are the programs of a namespace that say that they are alive.
	Components func(ctx context.Context, namespace string) ([]document.Component, error)
	Recent     Recent
	Log        *slog.Logger
}

// Pages are handlers by their patterns ("GET /runs/{run}"); all but those of StaticPattern are for whoever may look.
type Pages struct {
	cfg   Config
	pages map[string]*template.Template
	// links are the sections that there are.
	links []section
}

// section is an entry of the navigation.
type section struct{ Path, Title string }

// sections are those that the navigation may have, in order; it has those that there is a handler for.
var sections = []section{
	{"/", "Control room"},
	{"/runs", "Runs"},
	{"/slices", "Slices"},
	{"/failures", "Failures"},
	{"/workers", "Workers"},
	{"/demand", "Demand"},
	{"/components", "Components"},
	{"/logs", "Logs"},
}

// New parses all templates.
func New(cfg Config) (*Pages, error) {
	p := &Pages{cfg: cfg, pages: map[string]*template.Template{}}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := template.New("").Funcs(functions()).ParseFS(templates, "templates/*.tmpl", name)
		if err != nil {
			return nil, fmt.Errorf("parsing a page: %w", err)
		}
		p.pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	handlers := p.Handlers()
	for _, s := range sections {
		if handlers["GET "+s.Path] != nil || s.Path == "/" {
			p.links = append(p.links, s)
		}
	}
	return p, nil
}

// StaticPattern is that of style, script and library, which are no secret.
const StaticPattern = "GET /static/"

// Static serves them.
func Static() http.Handler { return http.FileServerFS(static) }

// Handlers are the pages, by pattern.
func (p *Pages) Handlers() map[string]http.HandlerFunc {
	out := map[string]http.HandlerFunc{
		"GET /{$}":                       p.page("overview", 5, p.overview),
		"GET /runs":                      p.page("runs", 5, p.runs),
		"GET /runs/{run}":                p.page("run", 5, p.run),
		"GET /runs/{run}/slices/{slice}": p.page("slice", 5, p.slice),
		"GET /slices":                    p.page("slices", 10, p.slices),
		"GET /slices/find":               p.page("refused", 0, p.find),
		"GET /failures":                  p.page("failures", 5, p.failures),
		"GET /workers":                   p.page("workers", 5, p.workers),
		"GET /workers/{worker}":          p.page("worker", 5, p.worker),
		"GET /demand":                    p.page("demand", 5, p.demand),
	}
	if p.cfg.Components != nil {
		out["GET /components"] = p.page("components", 5, p.components)
	}
	if p.cfg.Recent != nil {
		out["GET /logs"] = p.page("logs", 3, p.logs)
	}
	return out
}
