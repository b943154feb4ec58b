package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// ClockAhead is how far this machine's clock is ahead of that of an idds, give or take uncertain: its answers are dated to the
// second, whatever they answer.
func ClockAhead(ctx context.Context, base string) (ahead, uncertain time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/ping", nil)
	if err != nil {
		return 0, 0, exitcode.New(exitcode.BadConfig, "idds address %s: %w", base, err)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	asked := time.Now()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, 0, exitcode.New(exitcode.NoService, "asking idds for the time: %w", err)
	}
	_ = resp.Body.Close()
	took := time.Since(asked)
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, 0, exitcode.New(exitcode.NoService, "idds at %s does not say what time it is: %w", base, err)
	}
	const half = time.Second / 2 // what is cut off a date, on average
	// Without the monotonic clock: it is the wall's that is compared.
	return asked.Add(took / 2).Round(0).Sub(date.Add(half)), half + took/2, nil
}
