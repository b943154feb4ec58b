package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tfpilot/internal/logging"
)

// Sightings count messages of one kind that are of no use, and say once a minute how many there were: whoever sends a million of them
// fills no log.
type Sightings struct {
	log  *slog.Logger
	kind string

	mu   sync.Mutex
	n    int
	said time.Time
}

// sayEvery is how often it is said.
const sayEvery = time.Minute

// NewSightings counts messages of a kind, which is in words.
func NewSightings(log *slog.Logger, kind string) *Sightings { return &Sightings{log: log, kind: kind} }

// Count counts a message, by where it came, who sent it, and what is wrong with it.
func (s *Sightings) Count(ctx context.Context, destination, sender string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if now := time.Now(); now.Sub(s.said) >= sayEvery {
		s.said = now
		s.log.WarnContext(ctx, "messages are of no use", slog.String("kind", s.kind), slog.Int("count", s.n), slog.String("destination", destination),
			slog.String("sender", fmt.Sprintf("%.40s", sender)), logging.Err(why))
	}
}

// N is how many there were.
func (s *Sightings) N() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}
