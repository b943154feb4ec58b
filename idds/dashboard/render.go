package dashboard

import (
	"bytes"
	"cmp"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
	"tfpilot/internal/version"
)

// page is what every template gets.
type page struct {
	// Title is the page's heading, and that of its window.
	Title string
	// Name is that of the template.
	Name string
	// Data is what the page is about.
	Data any
	// Refresh is how often (s) the script asks for the page again; never with 0.
	Refresh int
	// Live says that the page has a script of its own that listens to /v1/events; Refresh is then for who has none.
	Live bool
	// Trouble says why the data is not there.
	Trouble string

	// What follows is filled by render.
	Namespace, Version string
	Who                access.Principal
	Path               string
	Sections           []section
	Now                time.Time

	address
	asked string // the namespace, where somebody who sees them all has asked for one
}

// Link is the address of a page of the same namespace, with parameters by name and value; those without a value are left out.
func (v page) Link(path string, parameters ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			q.Set(parameters[i], parameters[i+1])
		}
	}
	if v.asked != "" {
		q.Set("namespace", v.asked)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// LinkTo is Link with the parameters in one list.
func (v page) LinkTo(path string, parameters []string) string { return v.Link(path, parameters...) }

// Keep are the parameters of this page that a form of it hands on, of those that are named; and the namespace.
func (v page) Keep(names ...string) map[string]string {
	kept := map[string]string{}
	for _, name := range names {
		if value := v.query.Get(name); value != "" {
			kept[name] = value
		}
	}
	if v.asked != "" {
		kept["namespace"] = v.asked
	}
	return kept
}

// Here reports whether a section is the one that the page is in.
func (v page) Here(s section) bool {
	return v.Path == s.Path || s.Path != "/" && strings.HasPrefix(v.Path, s.Path+"/")
}

// namespace is the one whose page is asked for.
func (p *Pages) namespace(r *http.Request) string {
	return cmp.Or(access.PrincipalOf(r.Context()).Namespace, asked(r), p.cfg.Namespace)
}

// asked is the namespace that somebody who sees them all has asked for.
func asked(r *http.Request) string {
	if access.PrincipalOf(r.Context()).Namespace != "" {
		return ""
	}
	return r.URL.Query().Get("namespace")
}

// policy lets the page load what it needs from here and nothing from anywhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// render fills a page's template. Of what cannot be had it says so, on a page that stays up.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, v page, err error) {
	status := http.StatusOK
	if err != nil {
		status, v.Trouble = http.StatusServiceUnavailable, logging.Redact(err.Error())
	}
	p.answer(w, r, status, v)
}

// now is the time of the service, which stands in what pages show; none of them needs a service to say that something cannot be had.
func (p *Pages) now() time.Time {
	if p.cfg.Service == nil {
		return time.Now().UTC()
	}
	return p.cfg.Service.Now()
}

func (p *Pages) answer(w http.ResponseWriter, r *http.Request, status int, v page) {
	v.Namespace, v.Version, v.Who = p.namespace(r), version.String(), access.PrincipalOf(r.Context())
	v.Path, v.Sections, v.Now, v.asked = r.URL.Path, p.links, p.now(), asked(r)
	var buf bytes.Buffer
	if err := p.pages[v.Name].ExecuteTemplate(&buf, "layout", v); err != nil {
		p.cfg.Log.ErrorContext(r.Context(), "a page cannot be rendered: a bug", slog.String("page", v.Name), logging.Err(err))
		http.Error(w, "a bug of idds; its log says more", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	// Names are anybody's, and none is to turn round the line that it stands in.
	_, _ = io.WriteString(w, program.PrintableLines(buf.String())) // or the client is gone
}
