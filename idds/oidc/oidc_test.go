package oidc_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/idds/oidc"
	"tfpilot/internal/access"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

// issuer is an OpenID Connect issuer on loopback.
type issuer struct {
	*httptest.Server

	mu    sync.Mutex
	keys  map[string]ed25519.PrivateKey
	down  bool
	asked int // for its keys
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{keys: map[string]ed25519.PrivateKey{}}
	i.rotate(t, "first")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(w, map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL, "token_endpoint": i.URL,
			"id_token_signing_alg_values_supported": []string{"EdDSA", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		var list []map[string]string
		for id, key := range i.keys {
			public, _ := key.Public().(ed25519.PublicKey)
			list = append(list, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "use": "sig", "x": b64(public)})
		}
		i.asked++
		i.mu.Unlock()
		i.answer(w, map[string]any{"keys": list})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) answer(w http.ResponseWriter, document any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document)
}

// rotate has one key, in place of those of before.
func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.keys)
	i.keys[id] = key
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) timesAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *issuer) key(id string) ed25519.PrivateKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[id]
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type claims map[string]any

// good are claims of a token that is, with some of them changed.
func (i *issuer) good(changed claims) claims {
	c := claims{"iss": i.URL, "sub": "alice", "aud": "idds", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "groups": []string{"others", "/epic/operators"}}
	for k, v := range changed {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func unsigned(t *testing.T, header, c claims) string {
	t.Helper()
	h, err := json.Marshal(header)
	must(t, err)
	p, err := json.Marshal(c)
	must(t, err)
	return b64(h) + "." + b64(p)
}

func sign(t *testing.T, key ed25519.PrivateKey, id string, c claims) string {
	t.Helper()
	text := unsigned(t, claims{"alg": "EdDSA", "kid": id, "typ": "at+jwt"}, c)
	return text + "." + b64(ed25519.Sign(key, []byte(text)))
}

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func gate(t *testing.T, i *issuer, clock func() time.Time) *oidc.Issuer {
	t.Helper()
	g, err := oidc.New(oidc.Config{
		Issuer: i.URL, Audience: "idds", Claims: []string{"groups", "wlcg.groups"},
		Groups: []string{"/epic/operators=operator@epic", "/epic=viewer@epic", "a=b=pilot", "others-too=viewer"},
	}, clock)
	must(t, err)
	t.Cleanup(g.Close)
	return g
}

func fixed() time.Time { return now }

func TestAGoodTokenHasTheRoleOfItsFirstGroup(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g := gate(t, i, fixed)
	for groups, want := range map[string]access.Principal{
		"/epic /epic/operators": {Name: "oidc/alice", Role: access.Operator, Namespace: "epic"},
		"/epic":                 {Name: "oidc/alice", Role: access.Viewer, Namespace: "epic"},
		"a=b":                   {Name: "oidc/alice", Role: access.Pilot},
	} {
		for _, claim := range []string{"groups", "wlcg.groups"} {
			p, err := g.Identify(t.Context(), sign(t, i.key("first"), "first", i.good(claims{"groups": nil, claim: strings.Fields(groups)})))
			if p != want || err != nil {
				t.Errorf("%s in %s: %+v, %v", groups, claim, p, err)
			}
		}
	}
	p, err := g.Identify(t.Context(), sign(t, i.key("first"), "first", i.good(claims{"aud": []string{"others", "idds"}, "groups": "/epic"})))
	if p.Role != access.Viewer || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestGroupsMayStandInAClaimWithinAnother(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g, err := oidc.New(oidc.Config{Issuer: i.URL, Audience: "idds", Claims: []string{"realm_access.roles", "resource_access.idds.example.roles"}, Groups: []string{"shift=viewer@epic"}}, fixed)
	must(t, err)
	t.Cleanup(g.Close)
	roles := claims{"roles": []string{"offline_access", "shift"}}
	for name, c := range map[string]struct {
		said claims
		good bool
	}{
		"as Keycloak says it":             {claims{"realm_access": roles}, true},
		"in one whose name has dots":      {claims{"resource_access": claims{"idds.example": roles}}, true},
		"in one that has the whole name":  {claims{"realm_access.roles": "shift"}, true},
		"beside it":                       {claims{"realm_access": claims{"others": []string{"shift"}}, "roles": []string{"shift"}}, false},
		"in one that is no object":        {claims{"realm_access": "roles"}, false},
		"in an object in place of a list": {claims{"realm_access": claims{"roles": claims{"shift": true}}}, false},
	} {
		c.said["groups"] = nil
		p, err := g.Identify(t.Context(), sign(t, i.key("first"), "first", i.good(c.said)))
		if good := err == nil && p.Role == access.Viewer && p.Namespace == "epic"; good != c.good || !good && !errors.Is(err, access.ErrNoRole) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestWhoHasANumberIsShownByNameToo(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g := gate(t, i, fixed)
	for name, want := range map[string]string{
		"alice.l@example.org": "oidc/7f3 (alice.l@example.org)", "7f3": "oidc/7f3", "": "oidc/7f3", "a\nb": "oidc/7f3", "op erator": "oidc/7f3", strings.Repeat("x", 65): "oidc/7f3",
	} {
		p, err := g.Identify(t.Context(), sign(t, i.key("first"), "first", i.good(claims{"sub": "7f3", "preferred_username": name})))
		if p.Name != want || err != nil {
			t.Errorf("%q: %q, %v", name, p.Name, err)
		}
	}
}

func TestATokenThatIsNotGoodIsRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g := gate(t, i, fixed)
	key := i.key("first")
	_, foreign, err := ed25519.GenerateKey(nil)
	must(t, err)
	public, _ := key.Public().(ed25519.PublicKey)
	none := unsigned(t, claims{"alg": "none"}, i.good(nil))
	hs := unsigned(t, claims{"alg": "HS256", "kid": "first"}, i.good(nil))
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(hs))
	valid := sign(t, key, "first", i.good(nil))
	for name, c := range map[string]struct {
		token, why string
	}{
		"expired":                  {sign(t, key, "first", i.good(claims{"exp": now.Add(-time.Second).Unix()})), "expired"},
		"without an end":           {sign(t, key, "first", i.good(claims{"exp": nil})), "expired"},
		"not yet valid":            {sign(t, key, "first", i.good(claims{"nbf": now.Add(time.Hour).Unix()})), "nbf"},
		"of another issuer":        {sign(t, key, "first", i.good(claims{"iss": "https://evil.example"})), "different provider"},
		"for another audience":     {sign(t, key, "first", i.good(claims{"aud": "rucio"})), "audience"},
		"without an audience":      {sign(t, key, "first", i.good(claims{"aud": nil})), "audience"},
		"of another's key":         {sign(t, foreign, "first", i.good(nil)), "not signed"},
		"alg none":                 {none + ".", "not signed"},
		"HMAC with the public key": {hs + "." + b64(mac.Sum(nil)), "not signed"},
		"changed":                  {strings.Replace(valid, ".", ".e30", 1), "not signed"},
		"cut off":                  {valid[:len(valid)-10], "not signed"},
		"no JSON":                  {"a.b.c", "not signed"},
		"of nobody":                {sign(t, key, "first", i.good(claims{"sub": nil})), "whose"},
		"of no group":              {sign(t, key, "first", i.good(claims{"groups": []string{"x"}})), "no role"},
		"groups of another kind":   {sign(t, key, "first", i.good(claims{"groups": map[string]any{"/epic": true}})), "no role"},
		"no token of an issuer":    {"tfp_ABC", "not known"},
	} {
		p, err := g.Identify(t.Context(), c.token)
		if err == nil || !strings.Contains(err.Error(), c.why) || errors.Is(err, access.ErrNoIssuer) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if err != nil && len(c.token) > 20 && strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the error tells the token", name)
		}
	}
}

// Whoever signs with a key of his own, and says in the token where it is to be found, is believed by nobody, nor is it asked for there.
func TestATokenDoesNotSayWhatItIsToBeCheckedWith(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g := gate(t, i, fixed)
	public, theirs, err := ed25519.GenerateKey(nil)
	must(t, err)
	asked := make(chan string, 10)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer stranger.Close()
	jwk := claims{"kty": "OKP", "crv": "Ed25519", "x": b64(public), "kid": "first", "use": "sig"}
	for name, c := range map[string]struct {
		header claims
		key    ed25519.PrivateKey
	}{
		"with the key in it":           {claims{"kid": "first", "jwk": jwk}, theirs},
		"with a key and no name of it": {claims{"jwk": jwk}, theirs},
		"with keys elsewhere":          {claims{"kid": "theirs", "jku": stranger.URL + "/keys"}, theirs},
		"with a certificate elsewhere": {claims{"kid": "theirs", "x5u": stranger.URL + "/cert"}, theirs},
		"with a path for a key":        {claims{"kid": "../../../dev/null"}, theirs},
		"with SQL for a key":           {claims{"kid": "first' OR '1'='1"}, theirs},
		"with a key that is no text":   {claims{"kid": 7}, theirs},
		"with what is not understood":  {claims{"kid": "first", "crit": []string{"exp-not"}, "exp-not": true}, i.key("first")},
	} {
		c.header["alg"] = "EdDSA"
		text := unsigned(t, c.header, i.good(nil))
		if p, err := g.Identify(t.Context(), text+"."+b64(ed25519.Sign(c.key, []byte(text)))); err == nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	select {
	case path := <-asked:
		t.Errorf("the stranger was asked for %s", path)
	default:
	}
}

func TestKeysAreKeptAndRotated(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	at := now
	g := gate(t, i, func() time.Time { return at })
	old := sign(t, i.key("first"), "first", i.good(claims{"exp": now.Add(48 * time.Hour).Unix()}))
	for range 20 {
		_, err := g.Identify(t.Context(), old)
		must(t, err)
	}
	if n := i.timesAsked(); n != 1 {
		t.Errorf("asked %d times for the keys", n)
	}
	i.rotate(t, "second")
	_, err := g.Identify(t.Context(), sign(t, i.key("second"), "second", i.good(nil)))
	must(t, err)
	at = at.Add(2 * time.Hour) // what was taken back is gone by then
	if _, err := g.Identify(t.Context(), old); err == nil {
		t.Error("a key that was taken back is still good")
	}
}

func TestAFloodOfForgedTokensIsNoneForTheIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g := gate(t, i, fixed)
	valid := sign(t, i.key("first"), "first", i.good(nil))
	_, err := g.Identify(t.Context(), valid)
	must(t, err)
	_, foreign, err := ed25519.GenerateKey(nil)
	must(t, err)
	for n := range 200 {
		id := "forged-" + strconv.Itoa(n)
		if _, err := g.Identify(t.Context(), sign(t, foreign, id, i.good(nil))); err == nil {
			t.Error("let in")
		}
	}
	if n := i.timesAsked(); n > 20 {
		t.Errorf("asked %d times", n)
	}
	if _, err := g.Identify(t.Context(), valid); err != nil {
		t.Errorf("who has a good one: %v", err)
	}
}

func TestAnIssuerThatDoesNotAnswerIsNoFaultOfTheToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.setDown(true)
	at := now
	g := gate(t, i, func() time.Time { return at })
	token := sign(t, i.key("first"), "first", i.good(nil))
	if _, err := g.Identify(t.Context(), token); !errors.Is(err, access.ErrNoIssuer) {
		t.Errorf("%v", err)
	}
	i.setDown(false)
	at = at.Add(time.Minute)
	if _, err := g.Identify(t.Context(), token); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestAConfigurationThatWouldLetAnybodyInIsRefused(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]oidc.Config{
		"no https address":        {Issuer: "http://issuer.example", Audience: "idds", Groups: []string{"g=viewer"}},
		"audience":                {Issuer: "https://issuer.example", Groups: []string{"g=viewer"}},
		"groups is missing":       {Issuer: "https://issuer.example", Audience: "idds"},
		`"g=root" is neither`:     {Issuer: "https://issuer.example", Audience: "idds", Groups: []string{"g=root"}},
		`"g=viewer@" is neither`:  {Issuer: "https://issuer.example", Audience: "idds", Groups: []string{"g=viewer@"}},
		`"viewer" is neither`:     {Issuer: "https://issuer.example", Audience: "idds", Groups: []string{"viewer"}},
		"reading --oidc-ca-file:": {Issuer: "https://issuer.example", Audience: "idds", Groups: []string{"g=viewer"}, CAFile: "none"},
	} {
		if _, err := oidc.New(c, fixed); err == nil || !strings.Contains(err.Error(), why) || exitcode.From(err) != exitcode.BadConfig {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestAnIssuerIsCheckedWithItsKeys(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	check := func() error {
		t.Helper()
		known, err := oidc.New(oidc.Config{Issuer: i.URL, Audience: "a", Groups: []string{"g=viewer"}}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer known.Close()
		return known.Check(t.Context())
	}
	if err := check(); err != nil || i.asked != 1 {
		t.Errorf("%v; it was asked %d times for its keys", err, i.asked)
	}
	i.mu.Lock()
	i.down = true
	i.mu.Unlock()
	if err := check(); !errors.Is(err, access.ErrNoIssuer) {
		t.Errorf("one that is down: %v", err)
	}
}
