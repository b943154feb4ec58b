package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/document"
)

// health is an answer whose status says it too, for whoever looks at nothing else.
type health struct {
	Status int
	Body   document.Health
}

func (a *api) registerHealth(h huma.API) {
	op := operation(http.MethodGet, "/v1/health", "What is wrong with the service, or with what it stands on", readers...)
	op.Responses = map[string]*huma.Response{
		"304": {Description: "What the ETag in If-None-Match names is still so."},
		"503": {Description: "Something is wrong; the same document says what. Or the token cannot be checked.", Content: map[string]*huma.MediaType{
			"application/json":         {Schema: huma.SchemaFromType(h.OpenAPI().Components.Schemas, reflect.TypeFor[document.Health]())},
			"application/problem+json": {Schema: huma.SchemaFromType(h.OpenAPI().Components.Schemas, reflect.TypeFor[huma.ErrorModel]())},
		}},
	}
	huma.Register(h, op, func(ctx context.Context, _ *struct{}) (*health, error) {
		doc := a.service.Health(ctx)
		if !doc.OK {
			return &health{http.StatusServiceUnavailable, doc}, nil
		}
		return &health{http.StatusOK, doc}, nil
	})
}
