package words_test

import (
	"testing"
	"time"

	"tfpilot/internal/words"
)

func TestTimesAreToldFromOneAnother(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for got, want := range map[string]string{
		words.After(at, at.Add(1234*time.Millisecond)): "+1.234 s", words.After(at, at.Add(time.Hour)): "+1 h 00 min", words.After(at, at.Add(-2*time.Second)): "2.0 s before",
		words.After(time.Time{}, at): words.None, words.Moment(at): "2026-01-02 03:04:05.678", words.Instant(at): "03:04:05.678", words.Took(at, at.Add(time.Minute)): "60 s",
		words.Ago(at, at.Add(-time.Minute)): "0 ms", words.Ago(time.Time{}, at): words.None, words.Date(at): "2026-01-02 03:04:05", words.Clock(time.Time{}): words.None,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
