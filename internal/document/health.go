package document

import (
	"strings"
	"time"
)

// Health is GET /v1/health: what is wrong, in words.
type Health struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"`
	// Parts are all that was looked at.
	Parts []HealthPart `json:"parts"`
}

// Line is what is wrong in one line, or that nothing is.
func (d Health) Line() string {
	var wrong []string
	for _, p := range d.Parts {
		if !p.OK {
			wrong = append(wrong, p.Name+": "+p.Details)
		}
	}
	if len(wrong) == 0 {
		return "all is well"
	}
	return strings.Join(wrong, "; ")
}

// HealthPart is one thing that the service stands on.
type HealthPart struct {
	// Name is store, broker, subscriptions, backlog or clock.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Details say what is wrong, or how it is.
	Details string    `json:"details"`
	Since   time.Time `json:"since,omitzero"`
}
