package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/exitcode"
)

// Access is who may ask the service, and how safely.
type Access struct {
	// Listen is where it listens. CertificateEnds is when its certificate is over, zero without one; Secure is why it cannot be used.
	Listen          string
	CertificateEnds time.Time
	Secure          error
	// File is tokens.toml with its roles, none when it is not there yet; Tokens is why it cannot be used.
	File   string
	Roles  []access.Role
	Tokens error
	// Issuer is whose tokens are taken too, empty for nobody's; NoIssuer is why it cannot be asked.
	Issuer   string
	NoIssuer error
}

// Tokens and certificates that end this soon are to be renewed now.
const (
	tokenSoon       = 7 * 24 * time.Hour
	certificateSoon = 14 * 24 * time.Hour
)

// access looks at tokens, their issuer and the service's certificate.
func (e *examination) access(ctx context.Context) {
	if e.cfg.Access == nil {
		return
	}
	a := e.cfg.Access(ctx)
	e.certificate(a)
	e.tokens(a)
	switch {
	case a.Issuer == "":
	case a.NoIssuer != nil:
		e.report.problem("issuer of tokens", exitcode.NoCredential, "see that it runs, that --oidc-issuer is its name to the letter, and that --oidc-ca-file has its authority; its tokens get 503 until then",
			"%s: %v", a.Issuer, a.NoIssuer)
	default:
		e.report.add("issuer of tokens", OK, "", "%s answers, and its keys are to be had", a.Issuer)
	}
}

func (e *examination) certificate(a Access) {
	const name = "certificate"
	host, _, _ := net.SplitHostPort(a.Listen)
	ip := net.ParseIP(host)
	left := time.Until(a.CertificateEnds)
	switch {
	case a.Secure != nil && exitcode.From(a.Secure) == exitcode.NoCredential:
		e.report.problem(name, exitcode.NoCredential, "give the key to the user of the service, with mode 600", "%v", a.Secure)
	case a.Secure != nil:
		e.report.problem(name, exitcode.From(a.Secure), "give --tls-cert and --tls-key a certificate that is valid, with its own key", "%v", a.Secure)
	case a.CertificateEnds.IsZero() && (host == "localhost" || ip != nil && ip.IsLoopback()):
		e.report.add(name, NotChecked, "", "none, on this machine's own loopback")
	case a.CertificateEnds.IsZero():
		e.report.add(name, Warning, "give it --tls-cert and --tls-key, or put a proxy with TLS before it", "none: tokens and the broker's password travel to %s in the clear", a.Listen)
	case left < certificateSoon:
		e.report.add(name, Warning, "renew it: the service takes the new files without a restart", "it ends at %s, in %s", since(a.CertificateEnds), days(left))
	default:
		e.report.add(name, OK, "", "valid for another %s", days(left))
	}
}

// shown is how many tokens are told of one by one.
const shown = 5

func (e *examination) tokens(a Access) {
	const name = "tokens"
	if a.Tokens != nil {
		e.report.problem(name, exitcode.From(a.Tokens), "mend the file, or take it away: idds serve makes a new one, with other tokens", "%v", a.Tokens)
		return
	}
	if len(a.Roles) == 0 && e.facts == nil {
		e.report.add(name, NotChecked, "", "there are none yet; idds serve makes %s", a.File)
		return
	}
	now := time.Now()
	valid, have := 0, slices.Clone(a.Roles)
	var over, soon []access.Token
	if e.facts != nil {
		for _, t := range e.facts.Tokens {
			switch {
			case !t.RevokedAt.IsZero():
			case t.Expired(now):
				over = append(over, t)
			default:
				valid++
				have = append(have, t.Role)
				if !t.ExpiresAt.IsZero() && t.ExpiresAt.Sub(now) < tokenSoon {
					soon = append(soon, t)
				}
			}
		}
	}
	e.report.add(name, OK, "", "%d in %s, %d made since that are valid", len(a.Roles), a.File, valid)
	for _, role := range []access.Role{access.Pilot, access.Harvester} {
		if !slices.Contains(have, role) && a.Issuer == "" {
			e.report.add(name, Warning, fmt.Sprintf("idds token create --role %s --name ..., or a line %s = [\"...\"] in %s", role, role, a.File),
				"there is none of role %s: no %s can work with this service", role, role)
		}
	}
	slices.SortFunc(soon, func(x, y access.Token) int { return x.ExpiresAt.Compare(y.ExpiresAt) })
	for _, t := range soon[:min(len(soon), shown)] {
		e.report.add(name, Warning, "idds token create makes another; hand it out, then idds token revoke "+t.ID, "%s (%.60q, role %s) expires at %s, in %s", t.ID, t.Name, t.Role, since(t.ExpiresAt), days(t.ExpiresAt.Sub(now)))
	}
	if n := len(soon) - shown; n > 0 {
		e.report.add(name, Warning, "idds token list has them", "%s more expire within %s", plural(n, "token"), days(tokenSoon))
	}
	slices.SortFunc(over, func(x, y access.Token) int { return y.ExpiresAt.Compare(x.ExpiresAt) })
	for _, t := range over[:min(len(over), 1)] {
		e.report.add(name, OK, "", "%d expired, %s (%.60q, role %s) last, at %s", len(over), t.ID, t.Name, t.Role, since(t.ExpiresAt))
	}
}

// days is a time for people.
func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.Round(time.Minute).String()
}
