package dashboard

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"tfpilot/internal/document"
)

type componentsPage struct {
	Components []document.Component
	Actors     []document.Actor
}

// logOf is under which name a component's log lines are: what idds stands on has none of its own.
func logOf(c document.Component) string {
	if c.Role == "idds" {
		name, _, _ := strings.Cut(c.Name, "/")
		return name
	}
	return c.Name
}

// components are the programs that say that they are alive, the dead ones last.
func (p *Pages) components(r *http.Request, v *page) error {
	v.Title = "Components"
	var data componentsPage
	v.Data = &data
	var err error
	if data.Components, err = p.cfg.Components(r.Context(), p.namespace(r)); err != nil {
		return err
	}
	slices.SortStableFunc(data.Components, func(a, b document.Component) int {
		alive := func(c document.Component) int {
			if c.Alive {
				return 0
			}
			return 1
		}
		return cmp.Or(alive(a)-alive(b), strings.Compare(a.Role, b.Role), strings.Compare(a.Name, b.Name))
	})
	data.Actors, err = p.cfg.Store.Actors(r.Context(), p.namespace(r))
	return err
}
