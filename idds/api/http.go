package api

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/frontdoor"
)

// survives answers also when we are broken: the server's own log of it is for strangers' mistakes, and nobody reads that.
func (a *api) survives(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			if v := recover(); v != nil {
				a.cfg.Log.ErrorContext(ctx, "a request has broken the REST interface: a bug", slog.String("method", r.Method), slog.String("path", r.URL.Path),
					slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
				frontdoor.Problem(w, http.StatusInternalServerError, "a bug of idds; its log says more")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// refuseOthers answers what no operation is for as problems (RFC 9457) too.
func refuseOthers(mux *http.ServeMux, doc *huma.OpenAPI, notFound http.Handler) {
	for path, item := range doc.Paths {
		var methods []string
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete, http.MethodPatch: item.Patch,
		} {
			if op != nil {
				methods = append(methods, method)
			}
		}
		if item.Get != nil {
			methods = append(methods, http.MethodHead)
		}
		slices.Sort(methods)
		allow := strings.Join(methods, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			frontdoor.Problem(w, http.StatusMethodNotAllowed, "there is no "+r.Method+" of it; there is "+allow)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if notFound != nil && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/v1/") {
			notFound.ServeHTTP(w, r)
			return
		}
		frontdoor.Problem(w, http.StatusNotFound, "there is no such path; /docs lists those that there are")
	})
}

// made serves a document about the operations. It is made once: whoever has no token may ask for it as often as he likes.
func made(contentType string, from func(*huma.OpenAPI) ([]byte, error), doc *huma.OpenAPI) http.HandlerFunc {
	text, err := from(doc)
	return func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			frontdoor.Problem(w, http.StatusInternalServerError, "making the document: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(text) // or the client is gone
	}
}
