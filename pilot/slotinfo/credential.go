package slotinfo

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// lookAtCredentials notes when credentials expire. Those in files may be renewed there; the token of idds is read once.
func (s *Slot) lookAtCredentials() {
	s.expires("token", "the token of idds", tokenEnd(s.cfg.Token))
	s.expires("X509_USER_PROXY", "X509_USER_PROXY", proxyEnd(s.contents("X509_USER_PROXY")))
	s.expires("BEARER_TOKEN_FILE", "BEARER_TOKEN_FILE", tokenEnd(s.contents("BEARER_TOKEN_FILE")))
}

func (s *Slot) expires(key, source string, at time.Time) {
	if at.IsZero() {
		s.set(key, nil)
		return
	}
	s.set(key, &end{source: source, cause: exitcode.Expiring, at: at, absolute: true})
}

// contents is the file that a variable names. Whether a payload needs it, and may read it, is not for us to say.
func (s *Slot) contents(variable string) string {
	path := s.machine.Getenv(variable)
	if path == "" {
		return ""
	}
	const most = 1 << 20
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}

// tokenEnd is when a JSON web token expires; zero for one that does not say, and for any other token.
func tokenEnd(token string) time.Time {
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Expires <= 0 || claims.Expires > 1e12 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expires), 0)
}

// proxyEnd is when the first certificate of a chain expires; zero when there is none.
func proxyEnd(text string) time.Time {
	var soonest time.Time
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return soonest
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && (soonest.IsZero() || c.NotAfter.Before(soonest)) {
			soonest = c.NotAfter
		}
	}
}
