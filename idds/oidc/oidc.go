// Package oidc knows who holds an access token of an OpenID Connect issuer: whether its signature, issuer, audience and time are
// right, and which role its groups give.
//
// The issuer is asked for its keys when they are first needed, and again when a token names a key that is not known, or after an
// hour, so that a key that it has taken back is not taken for good for ever.
package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"

	"tfpilot/internal/access"
	"tfpilot/internal/exitcode"
)

const (
	// keysLive is how long the issuer's description and keys are taken for right.
	keysLive = time.Hour
	// askLimit is how long the issuer may take to answer.
	askLimit = 5 * time.Second
	// longestName is of a user's name that is shown, in bytes.
	longestName = 64
)

// Config is whose tokens are taken, and what for. Nobody's without an Issuer.
type Config struct {
	Issuer   string `toml:"issuer" help:"address of the OpenID Connect issuer whose access tokens are taken; none when empty"`
	Audience string `toml:"audience" help:"audience that such a token must have"`
	// Groups give roles: the first that a token has decides.
	Groups []string `toml:"groups" help:"what groups may do, the first of a token's counts: GROUP=ROLE or GROUP=ROLE@NAMESPACE"`
	Claims []string `toml:"groups_claims" default:"groups,wlcg.groups" help:"claims of the token that hold groups; OUTER.INNER is one within another, such as realm_access.roles"`
	CAFile string   `toml:"ca_file" help:"authorities of the issuer's certificate (PEM) in place of the system's"`
}

// Issuer is one issuer.
type Issuer struct {
	cfg    Config
	grants []grant
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	keys   *keys
	failed error     // why there are none
	until  time.Time // when they are asked for again
}

// grant is what a group may do.
type grant struct {
	group string
	what  access.Principal
}

// keys are what the issuer says of itself.
type keys struct {
	set      oidc.KeySet
	verifier *oidc.IDTokenVerifier
}

// New checks a configuration. The issuer is not asked yet: it may be down when we start.
func New(cfg Config, now func() time.Time) (*Issuer, error) {
	i := &Issuer{cfg: cfg, now: now}
	u, err := url.Parse(cfg.Issuer)
	var errs []error
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		errs = append(errs, fmt.Errorf("--oidc-issuer %q is no https address", cfg.Issuer))
	}
	if cfg.Audience == "" {
		errs = append(errs, errors.New("--oidc-audience is missing: without it a token for any other service would do"))
	}
	if len(cfg.Groups) == 0 {
		errs = append(errs, errors.New("--oidc-groups is missing: nobody would have a role"))
	}
	for _, text := range cfg.Groups {
		g, err := readGrant(text)
		errs = append(errs, err)
		i.grants = append(i.grants, g)
	}
	transport, err := cfg.transport()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, exitcode.Wrap(exitcode.BadConfig, err)
	}
	i.client = &http.Client{Transport: newPatient(transport), Timeout: askLimit}
	return i, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// readGrant reads GROUP=ROLE or GROUP=ROLE@NAMESPACE.
func readGrant(text string) (grant, error) {
	i := strings.LastIndex(text, "=")
	group, rest := text[:max(i, 0)], text[i+1:]
	role, namespace, scoped := strings.Cut(rest, "@")
	if group == "" || !access.Role(role).Valid() || scoped && namespace == "" {
		return grant{}, fmt.Errorf("--oidc-groups %q is neither GROUP=ROLE nor GROUP=ROLE@NAMESPACE with one of the roles %v", text, access.Roles())
	}
	return grant{group, access.Principal{Role: access.Role(role), Namespace: namespace}}, nil
}

func (c Config) transport() (*http.Transport, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute}
	if c.CAFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading --oidc-ca-file: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--oidc-ca-file %s holds no certificate in PEM form", c.CAFile)
	}
	return t, nil
}

// Close gives the connections back.
func (i *Issuer) Close() { i.client.CloseIdleConnections() }

// stranger is well formed, and signed by nobody: to look for its key all keys are asked for.
const stranger = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImlkZHMtZG9jdG9yIn0.e30.AA"

// Check asks the issuer for what it says of itself and for its keys. It returns why they are not to be had.
func (i *Issuer) Check(ctx context.Context) error {
	k, err := i.trusted(ctx)
	if err != nil {
		return err
	}
	if _, err := k.set.VerifySignature(ctx, stranger); errors.Is(err, errNoAnswer) {
		return fmt.Errorf("%w: %w", access.ErrNoIssuer, err)
	}
	return nil
}

// Identify says who holds a token. [access.ErrUnknownToken] means that it is no token of an issuer at all; [access.ErrNoIssuer] that
// the issuer does not answer; [access.ErrNoRole] that it is good, and gives no role.
func (i *Issuer) Identify(ctx context.Context, token string) (access.Principal, error) {
	if strings.Count(token, ".") != 2 {
		return access.Principal{}, access.ErrUnknownToken
	}
	k, err := i.trusted(ctx)
	if err != nil {
		return access.Principal{}, err
	}
	// The signature by itself, for an issuer that does not answer is not the token's fault.
	if _, err := k.set.VerifySignature(ctx, token); errors.Is(err, errNoAnswer) {
		return access.Principal{}, fmt.Errorf("%w: %w", access.ErrNoIssuer, err)
	} else if err != nil {
		return access.Principal{}, fmt.Errorf("the token is not signed by %s", i.cfg.Issuer)
	}
	said, err := k.verifier.Verify(ctx, token)
	if err != nil {
		return access.Principal{}, fmt.Errorf("the token of an issuer is not good: %w", err)
	}
	if said.Subject == "" {
		return access.Principal{}, errors.New("the token of an issuer is not good: it does not say whose it is (sub)")
	}
	var claims map[string]any
	if err := said.Claims(&claims); err != nil {
		return access.Principal{}, fmt.Errorf("the token of an issuer is not good: %w", err)
	}
	return i.role(said.Subject, claims)
}

// role is that of the first group in the configuration that the token has.
func (i *Issuer) role(subject string, claims map[string]any) (access.Principal, error) {
	var groups []string
	for _, claim := range i.cfg.Claims {
		groups = append(groups, texts(at(claims, claim))...)
	}
	first := slices.IndexFunc(i.grants, func(g grant) bool { return slices.Contains(groups, g.group) })
	if first < 0 {
		return access.Principal{}, fmt.Errorf("%w: none of the %d groups of %.80q has one here; --oidc-groups says which have", access.ErrNoRole, len(groups), subject)
	}
	p := i.grants[first].what
	p.Name = "oidc/" + subject + called(subject, claims["preferred_username"])
	return p, nil
}

// called is how people know somebody whom an issuer calls by a number, as Keycloak does: for the audit. It is no identity, for it may change.
func called(subject string, name any) string {
	text, _ := name.(string)
	if text == "" || text == subject || len(text) > longestName || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || !unicode.IsPrint(r) }) {
		return ""
	}
	return " (" + text + ")"
}

// at is the claim of a name or, where none has it, the one that it leads to: realm_access.roles is roles in realm_access.
func at(claims map[string]any, name string) any {
	if claim, ok := claims[name]; ok {
		return claim
	}
	for i, c := range name {
		if c != '.' {
			continue
		}
		inner, _ := claims[name[:i]].(map[string]any)
		if claim := at(inner, name[i+1:]); claim != nil {
			return claim
		}
	}
	return nil
}

// texts are those of a claim that is a list of texts, or one.
func texts(claim any) []string {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case []any:
		var out []string
		for _, v := range claim {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// trusted are the issuer's keys, asked for when there are none or they are old.
func (i *Issuer) trusted(ctx context.Context) (*keys, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now().Before(i.until) {
		return i.keys, i.failed
	}
	// They outlive the request that they are asked for.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), i.client)
	k, err := i.discover(ctx)
	if err != nil { // whoever comes next does not wait as long for the same
		i.keys, i.failed, i.until = nil, fmt.Errorf("%w: %w", access.ErrNoIssuer, err), i.now().Add(askLimit)
		return nil, i.failed
	}
	i.keys, i.failed, i.until = k, nil, i.now().Add(keysLive)
	return k, nil
}

func (i *Issuer) discover(ctx context.Context) (*keys, error) {
	provider, err := oidc.NewProvider(ctx, i.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var said struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, fmt.Errorf("reading what %s says of itself: %w", i.cfg.Issuer, err)
	}
	set := oidc.NewRemoteKeySet(ctx, said.Keys)
	return &keys{set, oidc.NewVerifier(i.cfg.Issuer, set, &oidc.Config{
		ClientID: i.cfg.Audience, SupportedSigningAlgs: signatures(said.Algorithms), Now: i.now,
	})}, nil
}

// signatures leaves of the algorithms those by which only the issuer can sign.
func signatures(offered []string) []string {
	var out []string
	for _, a := range offered {
		if slices.Contains([]string{
			oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
		}, a) {
			out = append(out, a)
		}
	}
	return out // RS256 when there is none
}
