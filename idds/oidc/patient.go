package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// errNoAnswer wraps why the issuer has not answered.
var errNoAnswer = errors.New("no answer of the issuer")

const (
	// askEvery is how often the issuer is asked for long, askAtOnce how often before that: everybody can send tokens with keys that
	// nobody knows, and is not to have us flood the issuer.
	askEvery  = 10 * time.Second
	askAtOnce = 6
)

// patient asks the issuer, and not too often. What is no answer is an error here, so that it is none of a token.
type patient struct {
	next  *http.Transport
	limit *rate.Limiter
}

func newPatient(next *http.Transport) *patient {
	return &patient{next, rate.NewLimiter(rate.Every(askEvery), askAtOnce)}
}

// RoundTrip asks.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	if !p.limit.Allow() {
		return nil, fmt.Errorf("%w: it was asked often enough for now", errNoAnswer)
	}
	resp, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: %s for %s", errNoAnswer, resp.Status, r.URL.Path)
	}
	return resp, nil
}

// CloseIdleConnections gives them back.
func (p *patient) CloseIdleConnections() { p.next.CloseIdleConnections() }
