package message

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/rawjson"
)

// TimeFormat is the one format that tfpilot writes: UTC, microseconds, Z. Every known consumer accepts it.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// MostAhead is how far a time may lie ahead of one's own before a clock is taken to be wrong.
const MostAhead = time.Minute

// ErrTime marks a text that is a time in none of the known formats.
var ErrTime = errors.New("no known time format")

// timeLayouts are those seen in the production system; fractional seconds are accepted wherever a layout has
// seconds. Naive times are taken as UTC: the fields that matter (created_at, process*) are written so by their producers.
var timeLayouts = []string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	time.RFC1123,  // Sun, 18 Jan 2026 14:36:03 UTC
	time.RFC1123Z, // the same with a numeric zone
}

// Timestamp is a time on the wire. It keeps the JSON that it came in, so that a copy is verbatim (peers match a result to
// its request by the text of requested_at).
type Timestamp struct {
	t   time.Time
	raw string
}

// At makes a Timestamp to be sent. The zero time is no timestamp.
func At(t time.Time) Timestamp {
	if t.IsZero() {
		return Timestamp{}
	}
	return Timestamp{t: t.UTC().Truncate(time.Microsecond)}
}

// Time is the instant in UTC; zero when absent or not understood.
func (t Timestamp) Time() time.Time { return t.t }

// IsZero reports that nothing was there, so that omitzero leaves it out.
func (t Timestamp) IsZero() bool { return t.raw == "" && t.t.IsZero() }

// Text is the timestamp as it stands on the wire, without quotes.
func (t Timestamp) Text() string {
	if t.raw != "" {
		return strings.Trim(t.raw, `"`)
	}
	if t.t.IsZero() {
		return ""
	}
	return t.t.Format(TimeFormat)
}

// MarshalJSON writes what came in verbatim, or [TimeFormat]; null when absent.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.raw != "" {
		return []byte(t.raw), nil
	}
	if t.t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.t.Format(TimeFormat) + `"`), nil
}

// UnmarshalJSON keeps the text. A time in an unknown format is kept too, with a zero Time: a strange clock of a peer must
// not cost a slice.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	s := string(b)
	if s == "null" {
		*t = Timestamp{}
		return nil
	}
	said := s
	if rawjson.IsText(b) {
		var err error
		if said, err = rawjson.Text(b); err != nil {
			return err
		}
	}
	parsed, err := ParseTime(said)
	if err != nil {
		parsed = time.Time{}
	}
	*t = Timestamp{t: parsed, raw: s}
	return nil
}

// ParseTime reads every time format of the production system: ISO 8601 with and without zone and fraction, RFC 822 with
// zone, epoch seconds (with fraction) or milliseconds, YYYYMMDDhhmmss with and without six digits of microseconds.
func ParseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if isDigits(s) {
		switch len(s) {
		case 14, 20:
			t, err := time.Parse("20060102150405", s[:14])
			if err != nil {
				return time.Time{}, ErrTime
			}
			if len(s) == 20 {
				us, err := strconv.Atoi(s[14:])
				if err != nil {
					return time.Time{}, ErrTime
				}
				t = t.Add(time.Duration(us) * time.Microsecond)
			}
			return t.UTC(), nil
		case 13:
			ms, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return time.Time{}, ErrTime
			}
			return time.UnixMilli(ms).UTC(), nil
		}
	}
	if len(s) > 4 && s[4] == '-' && isDigits(s[:4]) { // a year is no number
		return parseLayouts(s)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || f <= 0 || f > 1e11 {
			return time.Time{}, ErrTime
		}
		return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), nil
	}
	return parseLayouts(s)
}

func parseLayouts(s string) (time.Time, error) {
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, s)
		if t = t.UTC(); err == nil && t.Year() > 0 && t.Year() <= 9999 { // which its zone may have moved it from; no document could hold it
			return t, nil
		}
	}
	return time.Time{}, ErrTime
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
