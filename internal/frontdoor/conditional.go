package frontdoor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// Conditional gives answers an ETag, and answers 304 to who has seen the same already.
func Conditional(next http.Handler) http.Handler {
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
