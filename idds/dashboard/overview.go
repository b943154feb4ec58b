package dashboard

import "net/http"

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) {
	board, err := p.cfg.Board(r.Context(), p.namespace(r))
	p.render(w, r, page{Title: "Control room", Name: "overview", Data: board, Refresh: 5}, err)
}
