package dashboard

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"tfpilot/internal/message"
)

type componentsPage struct {
	Health     message.HealthDocument
	Components []message.ComponentDocument
	Actors     []message.ActorDocument
}

// components are the programs that say that they are alive, and what idds itself stands on.
func (p *Pages) components(r *http.Request, v *page) error {
	v.Title = "Components"
	data := componentsPage{Health: p.cfg.Service.Health(r.Context())}
	v.Data = &data
	var err error
	if data.Components, err = p.cfg.Components(r.Context(), p.namespace(r)); err != nil {
		return err
	}
	slices.SortStableFunc(data.Components, func(a, b message.ComponentDocument) int {
		alive := func(c message.ComponentDocument) int {
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
