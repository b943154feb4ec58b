package frontdoor

import (
	"net/http"
	"time"
)

// Hear is told of a request: the pattern that it fell under, the status of the answer, how long that took, and whether it flowed for as
// long as somebody listened.
type Hear func(pattern string, status int, took time.Duration, flowed bool)

// Observed tells of every request what it fell under and what came of it.
func Observed(next http.Handler, hear Hear) http.Handler {
	if hear == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := &seen{ResponseWriter: w, status: http.StatusInternalServerError} // that of a handler that panics
		defer func() { hear(r.Pattern, seen.status, time.Since(began), seen.flowed) }()
		next.ServeHTTP(seen, r)
		if !seen.wrote {
			seen.status = http.StatusOK
		}
	})
}

// seen is an answer with what was said first of it.
type seen struct {
	http.ResponseWriter

	status        int
	wrote, flowed bool
}

// WriteHeader notes the status.
func (s *seen) WriteHeader(status int) {
	if !s.wrote {
		s.wrote, s.status = true, status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write is an answer with status 200 unless another was said.
func (s *seen) Write(b []byte) (int, error) {
	if !s.wrote {
		s.wrote, s.status = true, http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Flush notes that the answer flows.
func (s *seen) Flush() {
	s.flowed = true
	if f, ok := s.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (s *seen) Unwrap() http.ResponseWriter { return s.ResponseWriter }
