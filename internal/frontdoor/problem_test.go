package frontdoor_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"tfpilot/internal/frontdoor"
)

func TestAProblemSaysItsStatusToProgramsAndPeople(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	frontdoor.Problem(w, http.StatusNotFound, `there is no "x"`)
	var got struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Title != "Not Found" || got.Detail != `there is no "x"` || got.Status != http.StatusNotFound {
		t.Errorf("%s: %v", w.Body, err)
	}
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}
