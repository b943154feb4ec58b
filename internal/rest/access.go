package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// CheckBase refuses what cannot be the address of an idds; option is the one that it came from.
func CheckBase(option, base string) error {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return exitcode.New(exitcode.Usage, "%s %q is no address of idds: it looks like http://127.0.0.1:8443 or https://idds.example.org:8443", option, base)
	}
	return nil
}

// TokenError says of a token that could not be read which option names it, and how to come by one of the role.
func TokenError(err error, role string) error {
	if err == nil {
		return nil
	}
	return exitcode.WithNext(fmt.Errorf("--token-file (TFPILOT_TOKEN_FILE): %w", err), howToCome(role))
}

func howToCome(role string) string {
	if role == "" {
		role = "ROLE"
	}
	return "on the machine of idds, `(umask 077; idds token --state STATE " + role +
		" > FILE)` writes one; name FILE by --token-file or TFPILOT_TOKEN_FILE"
}

// explain adds to a refusal what is wrong with our token.
func (c *Client) explain(status int, err error) error {
	switch {
	case status == http.StatusUnauthorized && c.token == "":
		err = fmt.Errorf("no token was given: %w", err)
	case status == http.StatusUnauthorized:
		err = fmt.Errorf("idds does not take the token: %w", err)
	case status != http.StatusForbidden:
		return err
	case c.role != "":
		err = fmt.Errorf("the token must be of role %s: %w", c.role, err)
	}
	return exitcode.WithNext(err, howToCome(c.role))
}

// TokenExpiry reads the claim exp of a JSON web token; ok is false for tokens of other kinds, whose end only the server knows.
func TokenExpiry(token string) (end time.Time, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return end, false
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return end, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(b, &claims) != nil || claims.Exp == 0 {
		return end, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}
