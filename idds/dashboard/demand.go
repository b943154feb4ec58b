package dashboard

import (
	"context"
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// demanded is what a run wants, and how that went.
type demanded struct {
	document.RunDemand

	Course []document.DemandPoint
}

// demand is how many workers are wanted, and why.
func (p *Pages) demand(r *http.Request, v *page) error {
	v.Title = "Demand"
	all, err := p.cfg.Service.Demand(r.Context())
	if err != nil {
		return err
	}
	seen := []demanded{}
	for _, d := range all.Demands {
		if d.Namespace == p.namespace(r) && d.State != document.RunClosed {
			seen = append(seen, demanded{d, p.cfg.Service.DemandCourse(d.RunID)})
		}
	}
	v.Data = seen
	return nil
}

// demandOf is that of a run; nil where there is none.
func (p *Pages) demandOf(ctx context.Context, run ledger.Run) (*document.RunDemand, error) {
	all, err := p.cfg.Service.Demand(ctx)
	for i := range all.Demands {
		if d := &all.Demands[i]; d.Namespace == run.Namespace && d.RunID == run.RunID.String() {
			return d, err
		}
	}
	return nil, err
}
