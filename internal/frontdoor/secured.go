package frontdoor

import "net/http"

// Secured says to browsers that answers are what their type says and nothing else: what stands in them was written by anybody.
func Secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-cache, private")
		next.ServeHTTP(w, r)
	})
}
