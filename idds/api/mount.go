package api

import (
	"net/http"

	"tfpilot/internal/access"
	"tfpilot/internal/frontdoor"
)

// NotFoundPattern is that of a [Mount] which answers browsers that ask for what is not there; all others get a problem.
const NotFoundPattern = "/"

// Mount is a handler of another kind under the same roof: who may not ask does not reach it, and it learns who asks from
// [access.PrincipalOf].
type Mount struct {
	Pattern string // of http.ServeMux, with its method
	Roles   []access.Role
	Handler http.Handler
	// Refused answers who may not ask; a problem (RFC 9457) when nil. The headers that belong to the status are set already.
	Refused func(w http.ResponseWriter, r *http.Request, status int, why string)
}

// guarded lets a request through to it whose token has one of its roles.
func (a *api) guarded(m Mount) http.Handler {
	refused := m.Refused
	if refused == nil {
		refused = func(w http.ResponseWriter, _ *http.Request, status int, why string) {
			frontdoor.Problem(w, status, why)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, no := a.door.Admit(r.Context(), r, m.Roles)
		if no != nil {
			no.Hint(w.Header().Set)
			refused(w, r, no.Status, no.Text)
			return
		}
		m.Handler.ServeHTTP(w, r.WithContext(in))
	})
}
