//go:build integration

package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/testkit"
)

// issuer is a realm of a real Keycloak, made for one test, behind a line that can be cut.
type issuer struct {
	URL, name string
	admin     string // the address of the administration of the realm
	proxy     *faultproxy.Proxy
}

// oneShot keeps no connection: Keycloak outlives the tests. It follows nowhere.
var oneShot = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// newIssuer makes the realm of testdata/issuer: alice is an operator, bob in the collaboration, carol has a role in place of a group,
// mallory nothing; client shell is for people, farm for itself, and others is that of another service.
func newIssuer(t *testing.T) issuer {
	t.Helper()
	base := os.Getenv("TFPILOT_TEST_KEYCLOAK")
	if base == "" {
		const how = "TFPILOT_TEST_KEYCLOAK names no issuer; `scripts/services.sh up keycloak` starts one and prints it"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	u, err := url.Parse(base)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(t, err)
	proxy := faultproxy.New(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", u.Host) }, nil)
	background(t, func(ctx context.Context) error { return proxy.Serve(ctx, ln) })
	_, port, err := net.SplitHostPort(ln.Addr().String())
	must(t, err)
	i := issuer{URL: "http://" + ln.Addr().String() + "/realms/e2e-" + port, name: "e2e-" + port, admin: base + "/admin/realms/e2e-" + port, proxy: proxy}
	text, err := os.ReadFile(filepath.Join("testdata", "issuer", "realm.json"))
	must(t, err)
	i.administer(t, http.MethodPost, base+"/admin/realms", strings.Replace(string(text), `"REALM"`, `"`+i.name+`"`, 1))
	t.Cleanup(func() { i.administer(t, http.MethodDelete, i.admin, "") })
	return i
}

// administer asks Keycloak's administration, past the line that can be cut. Its token lives for a minute.
func (i issuer) administer(t *testing.T, method, address, body string) string {
	t.Helper()
	base, _, _ := strings.Cut(i.admin, "/admin/")
	tokens := post(t, base+"/realms/master", url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {"admin"}})
	status, text := request(t, method, address, tokens.Access, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, address, status, text)
	}
	return text
}

// key makes a new key, by which the issuer signs from now on, and returns how to take it back.
func (i issuer) key(t *testing.T, name, priority string) (takeBack func()) {
	t.Helper()
	var realm struct{ ID string }
	must(t, json.Unmarshal([]byte(i.administer(t, http.MethodGet, i.admin, "")), &realm))
	component := func(enabled string) map[string]any {
		return map[string]any{
			"name": name, "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm.ID,
			"config": map[string][]string{"priority": {priority}, "enabled": {enabled}, "active": {enabled}},
		}
	}
	body, err := json.Marshal(component("true"))
	must(t, err)
	i.administer(t, http.MethodPost, i.admin+"/components", string(body))
	return func() {
		t.Helper()
		var all []struct{ ID string }
		must(t, json.Unmarshal([]byte(i.administer(t, http.MethodGet, i.admin+"/components?type=org.keycloak.keys.KeyProvider&name="+name, "")), &all))
		c := component("false")
		c["id"] = all[0].ID
		body, err := json.Marshal(c)
		must(t, err)
		i.administer(t, http.MethodPut, i.admin+"/components/"+all[0].ID, string(body))
	}
}

// issued is what an issuer gives.
type issued struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

func post(t *testing.T, realm string, form url.Values) (out issued) {
	t.Helper()
	resp, err := oneShot.PostForm(realm+"/protocol/openid-connect/token", form) //nolint:noctx // it answers, or the test ends
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, json.Unmarshal(text, &out))
	if out.Access == "" {
		t.Fatalf("%s: %s %s", realm, resp.Status, text)
	}
	return out
}

// of are the tokens of somebody who has typed a password.
func (i issuer) of(t *testing.T, user string) issued {
	t.Helper()
	return i.by(t, "shell", user)
}

func (i issuer) by(t *testing.T, client, user string) issued {
	t.Helper()
	return post(t, i.URL, url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {user + "-password"}, "scope": {"openid"}})
}

// options are those of idds that takes its tokens.
func (i issuer) options() []string {
	return []string{
		"--oidc-issuer", i.URL, "--oidc-audience", "https://idds.example.org", "--oidc-groups-claims", "groups,realm_access.roles",
		"--oidc-groups", "/epic/operators=operator@e2e,/epic/production=pilot@e2e,/epic=viewer@e2e,shift=viewer@e2e",
	}
}

func request(t *testing.T, method, address, token, body string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testkit.Patience) // a realm is taken away when the test is over
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := oneShot.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

// sees asks for the runs and says how it went.
func (c *chain) sees(t *testing.T, token string) (status int, text string) {
	t.Helper()
	return request(t, http.MethodGet, c.IDDS+"/v1/runs", token, "")
}

func TestIntegrationTokensOfKeycloakGiveTheRoleOfTheirGroup(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newChain(t)
	must(t, c.StartIDDS(t.Context(), append(i.options(), "--log-level", "debug")...))
	alice, farm := i.of(t, "alice"), post(t, i.URL, url.Values{"grant_type": {"client_credentials"}, "client_id": {"farm"}, "client_secret": {"farm-secret"}})
	const maker = `{"name": "x", "role": "viewer", "namespace": "e2e"}`
	for who, token := range map[string]string{"alice": alice.Access, "bob": i.of(t, "bob").Access, "carol": i.of(t, "carol").Access, "farm": farm.Access} {
		read, text := c.sees(t, token)
		other, _ := request(t, http.MethodGet, c.IDDS+"/v1/runs?namespace=others", token, "")
		made, _ := request(t, http.MethodPost, c.IDDS+"/v1/tokens", token, maker)
		secret, _ := request(t, http.MethodGet, c.IDDS+"/metainfo/prompt_broker", token, "")
		if read != 200 || other != 403 || (made < 300) != (who == "alice") || (secret == 200) != (who == "farm") {
			t.Errorf("%s: %d of its own namespace and %d of another, %d for a token and %d for the broker's password: %s", who, read, other, made, secret, text)
		}
	}
	for what, is := range map[string]struct {
		token  string
		status int
		why    string
	}{
		"of no group":         {i.of(t, "mallory").Access, 403, "groups"},
		"for another service": {i.by(t, "others", "alice").Access, 401, "audience"},
		"an ID token":         {alice.ID, 401, "audience"},
		"a refresh token":     {alice.Refresh, 401, "not signed by"},
	} {
		if status, text := c.sees(t, is.token); status != is.status || !strings.Contains(text, is.why) {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}

	// A pilot works with one, and the page is looked at with one.
	file := c.Path("farm.token")
	must(t, os.WriteFile(file, []byte(farm.Access), 0o600))
	must(t, c.Start(t.Context(), "pilot", "pilot", []string{
		"run", "--idds", c.IDDS, "--token-file", file, "--namespace", namespace, "--run", run, "--work-dir", c.Path("work"), "--journal-dir", c.Path("journal"), "--log-level", "debug",
		"--payload", payloadFile(t, counts),
	}))
	c.runImminent(t, 1)
	c.publish(t, slice(1))
	c.endRun(t, 1)
	c.check(t, document.SliceCounts{Published: 1, Done: 1})
	resp, err := oneShot.PostForm(c.IDDS+"/login", url.Values{"token": {alice.Access}}) //nolint:noctx // it answers, or the test ends
	must(t, err)
	must(t, resp.Body.Close())
	if len(resp.Cookies()) != 1 || resp.Cookies()[0].Value != alice.Access || !resp.Cookies()[0].HttpOnly {
		t.Fatalf("logging in: %s, %d cookies", resp.Status, len(resp.Cookies()))
	}
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, c.IDDS+"/runs/"+run, nil)
	must(t, err)
	req.AddCookie(resp.Cookies()[0])
	resp, err = oneShot.Do(req)
	must(t, err)
	page, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), run) {
		t.Errorf("the page: %s", resp.Status)
	}
	c.StopAll()
	for what, token := range map[string]string{"alice's": alice.Access, "the farm's": farm.Access} {
		nowhere(t, c.Path(), token, what, file)
	}
}

// nowhere looks for a secret in all files of a folder, but for one that is there to hold it.
func nowhere(t *testing.T, folder, secret, what string, but ...string) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || len(but) > 0 && path == but[0] {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), secret) {
			t.Errorf("%s token is in %s", what, path)
		}
		return nil
	}))
}

func TestIntegrationKeysOfKeycloakAreRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newChain(t)
	takeBack := i.key(t, "first", "200")
	must(t, c.StartIDDS(t.Context(), i.options()...))
	expect := func(want int, token, what string) {
		t.Helper()
		if status, text := c.sees(t, token); status != want {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	old := i.of(t, "bob").Access
	expect(200, old, "the first key")
	i.key(t, "second", "300")
	expect(200, i.of(t, "bob").Access, "the second key")
	expect(200, old, "the first key, which the issuer still has")
	takeBack()
	i.key(t, "third", "400")
	expect(200, i.of(t, "bob").Access, "the third key")
	expect(401, old, "the first key, which was taken back before the keys were asked for again")
}

func TestIntegrationAnIssuerThatIsAwayConcernsItsOwnTokensAlone(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newChain(t)
	bob := i.of(t, "bob").Access
	i.proxy.Set(faultproxy.Conditions{Refuse: true})
	i.proxy.Reset()
	must(t, c.StartIDDS(t.Context(), i.options()...))
	if _, err := c.Client().Workers(soon(t)); err != nil {
		t.Errorf("with a token of idds' own: %v", err)
	}
	if status, text := c.sees(t, bob); status != http.StatusServiceUnavailable || !strings.Contains(text, "issuer does not answer") {
		t.Errorf("while the issuer has never been there: %d %s", status, text)
	}
	var report struct {
		Checks []struct{ Check, Verdict, Found string }
	}
	doctor := func() string {
		t.Helper()
		_, stdout, stderr := tool(t, "idds", append([]string{"doctor", "--state", c.Path("idds"), "--broker-addr", c.Broker, "--address-file", c.AddressFile("idds"), "--output", "json"}, i.options()...)...)
		must(t, json.Unmarshal([]byte(stdout), &report))
		for _, check := range report.Checks {
			if check.Check == "issuer of tokens" {
				return check.Verdict
			}
		}
		return "no check: " + stderr
	}
	if verdict := doctor(); verdict != "problem" {
		t.Errorf("idds doctor, while it is away: %s", verdict)
	}
	i.proxy.Set(faultproxy.Conditions{})
	await(t, "the issuer to be asked again", func() bool { status, _ := c.sees(t, bob); return status == http.StatusOK })
	if verdict := doctor(); verdict != "ok" {
		t.Errorf("idds doctor, when it is there: %s", verdict)
	}
	i.proxy.Set(faultproxy.Conditions{Refuse: true})
	i.proxy.Reset()
	if status, text := c.sees(t, bob); status != http.StatusOK {
		t.Errorf("when it went, with a key that is known: %d %s", status, text)
	}
}

func TestIntegrationATokenOfKeycloakEndsByTheClockOfIDDS(t *testing.T) {
	t.Parallel()
	i := newIssuer(t) // whose tokens live for five minutes
	for _, is := range []struct {
		ahead  time.Duration
		status int
		why    string
	}{
		{-10 * time.Minute, 200, ""}, // issued in the future
		{4 * time.Minute, 200, ""},
		{6 * time.Minute, 401, "expired"},
	} {
		c := newChain(t)
		c.IDDSClock = is.ahead
		must(t, c.StartIDDS(t.Context(), i.options()...))
		if status, text := c.sees(t, i.of(t, "bob").Access); status != is.status || !strings.Contains(text, is.why) {
			t.Errorf("a clock that is %v ahead: %d %s", is.ahead, status, text)
		}
	}
}
