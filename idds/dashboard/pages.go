package dashboard

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// fill fills in what a page shows, and its title before anything that may go wrong.
type fill func(r *http.Request, v *page) error

// page makes a handler of what fills a page in.
func (p *Pages) page(name string, refresh int, fn fill) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := page{Name: name, Refresh: refresh, address: address{r.URL.EscapedPath(), r.URL.Query()}, asked: asked(r)}
		err := p.inScope(r)
		if err == nil {
			err = fn(r, &v)
		}
		if to, ok := errors.AsType[*elsewhere](err); ok {
			http.Redirect(w, r, to.address, http.StatusSeeOther)
			return
		}
		if no, ok := errors.AsType[*refusal](err); ok {
			p.answer(w, r, no.status, page{Name: "refused", Title: no.title, Data: no.text})
			return
		}
		p.render(w, r, v, err)
	}
}

// refusal is the answer when there is no such page, or it is not to be seen.
type refusal struct {
	status      int
	title, text string
}

// Error is for whoever wraps it.
func (e *refusal) Error() string { return e.title + ": " + e.text }

// elsewhere is the answer when what was asked for is another page.
type elsewhere struct{ address string }

// Error is for whoever wraps it.
func (e *elsewhere) Error() string { return "see " + e.address }

// address is that of a page as it was asked for.
type address struct {
	at    string
	query url.Values
}

func missing(title, text string) error { return &refusal{http.StatusNotFound, title, text} }

// inScope refuses another namespace than that of the token: its own, shown instead, would be taken for the other.
func (p *Pages) inScope(r *http.Request) error {
	if asked := r.URL.Query().Get("namespace"); asked != "" && asked != p.namespace(r) {
		return &refusal{http.StatusForbidden, "Not yours to see", "What you have logged in with is of the namespace " + p.namespace(r) + ", not of " + asked + "."}
	}
	return nil
}

// NotFound says that there is no such page.
func (p *Pages) NotFound() http.HandlerFunc {
	return p.page("refused", 0, func(r *http.Request, _ *page) error {
		return missing("No such page", "There is nothing at "+r.URL.Path+".")
	})
}

// segment is a name in a path. It may hold anything, a slash too, or be "..", which browsers would take for the folder above.
func segment(name string) string {
	if name == "." || name == ".." || strings.HasPrefix(name, "~") {
		name = "~" + name
	}
	return url.PathEscape(name)
}

// named is the name that a segment of the path stands for.
func named(r *http.Request, key string) string { return strings.TrimPrefix(r.PathValue(key), "~") }

// Segment is a name in a path.
func (v page) Segment(name string) string { return segment(name) }

// Asked is the namespace, where somebody who sees them all has asked for one.
func (v page) Asked() string { return v.asked }

// RunLink is the address of a run's page.
func (v page) RunLink(run string) string { return v.Link("/runs/" + segment(run)) }

// SliceLink is the address of a slice's page.
func (v page) SliceLink(run, identity string) string {
	return v.Link("/runs/" + segment(run) + "/slices/" + segment(identity))
}

// WorkerLink is the address of a pilot's page.
func (v page) WorkerLink(pilot string) string { return v.Link("/workers/" + segment(pilot)) }

// Again is the address of the same page with other parameters, by name and value; those without a value are left out.
func (v page) Again(parameters ...string) string {
	q := url.Values{}
	maps.Copy(q, v.query)
	for i := 0; i+1 < len(parameters); i += 2 {
		if q.Del(parameters[i]); parameters[i+1] != "" {
			q.Set(parameters[i], parameters[i+1])
		}
	}
	if len(q) == 0 {
		return v.at
	}
	return v.at + "?" + q.Encode()
}

// cursor is where the next page of a list begins.
func cursor(at any) string {
	b, err := json.Marshal(at)
	if err != nil { // of names there is no such
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor understands what a page has said; nothing for the first page.
func readCursor(r *http.Request, into any) error {
	text := r.URL.Query().Get("after")
	if text == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return &refusal{http.StatusBadRequest, "No such page of the list", "The address has a part \"after\" that this program has not made."}
	}
	return nil
}
