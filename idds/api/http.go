package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// secured says to browsers that answers are what their type says and nothing else: what stands in them was written by anybody.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-cache, private")
		next.ServeHTTP(w, r)
	})
}

// survives answers also when we are broken: the server's own log of it is for strangers' mistakes, and nobody reads that.
func (a *api) survives(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			if v := recover(); v != nil {
				a.cfg.Log.ErrorContext(ctx, "a request has broken the REST interface: a bug", slog.String("method", r.Method), slog.String("path", r.URL.Path),
					slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
				problem(w, http.StatusInternalServerError, "a bug of idds; its log says more")
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
			problem(w, http.StatusMethodNotAllowed, "there is no "+r.Method+" of it; there is "+allow)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if notFound != nil && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/v1/") {
			notFound.ServeHTTP(w, r)
			return
		}
		problem(w, http.StatusNotFound, "there is no such path; /docs lists those that there are")
	})
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail}) // or the client is gone
}

// conditional gives answers an ETag, and answers 304 to who has seen the same already.
func conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		held := &held{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		held.release(r.Header.Get("If-None-Match"))
	})
}

// held is an answer that is not sent before it is complete, or somebody wants it to flow.
type held struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
	flows  bool
}

// WriteHeader notes the status.
func (h *held) WriteHeader(status int) { h.status = status }

// Write holds what is written, or sends it.
func (h *held) Write(b []byte) (int, error) {
	if h.flows {
		return h.ResponseWriter.Write(b)
	}
	return h.body.Write(b)
}

// Flush sends what is held, and from then on everything at once: such an answer has no end to wait for.
func (h *held) Flush() {
	if !h.flows {
		h.flows = true
		h.ResponseWriter.WriteHeader(h.status)
		_, _ = h.ResponseWriter.Write(h.body.Bytes()) // or the client is gone
	}
	if f, ok := h.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for [http.ResponseController]: an answer without an end has deadlines of its own.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// release sends a complete answer, or that it is what the client has.
func (h *held) release(seen string) {
	if h.flows {
		return
	}
	if h.status == http.StatusOK {
		sum := sha256.Sum256(h.body.Bytes())
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
		h.Header().Set("ETag", tag)
		if matches(seen, tag) {
			h.Header().Del("Content-Type")
			h.ResponseWriter.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // or the client is gone
}

func matches(seen, tag string) bool {
	for s := range strings.SplitSeq(seen, ",") {
		if s = strings.TrimPrefix(strings.TrimSpace(s), "W/"); s == tag || s == "*" {
			return true
		}
	}
	return false
}

// Serve serves until ctx ends, then lets requests under way finish.
func Serve(ctx context.Context, srv *http.Server, serve func() error) error {
	stop := context.AfterFunc(ctx, func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = srv.Shutdown(short)
	})
	defer stop()
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
