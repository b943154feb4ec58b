package api

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/access"
)

// Browsers send no Authorization header of a page. They send a cookie, which is a token that somebody has logged in with. It is good
// for looking alone: whoever brings a browser to ask for something by it, from whatever page, changes nothing.

const (
	// sessionLife is how long a browser keeps the cookie; the token in it may end sooner.
	sessionLife = 30 * 24 * time.Hour
	// maxSession is the longest token that fits: browsers drop a cookie of more than 4096 bytes without a word.
	maxSession = 3800
)

// visitor is identify, and for who looks without an Authorization header also by his cookie; or as nobody in particular, where everybody may.
func (a *api) visitor(ctx context.Context, method, host string, header func(string) string, addr string, roles []access.Role) (access.Principal, *refusal) {
	looks := method == http.MethodGet || method == http.MethodHead
	if !looks || authorization(header) != "" || !slices.Contains(roles, access.Viewer) {
		return a.identify(ctx, header, addr, roles)
	}
	p, no := access.Principal{}, &refusal{http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer <token>, or log in at /login"}
	if token := sessionToken(header("Cookie"), host); token != "" {
		p, no = a.onlooker(ctx, token)
	}
	if no != nil && a.cfg.PublicPage {
		p, no = access.Principal{Role: access.Viewer, Namespace: a.cfg.Namespace}, nil
	}
	return a.admit(p, no, addr, roles)
}

// onlooker is the holder of a token who logs in, or has: a viewer, whatever else the token may do.
func (a *api) onlooker(ctx context.Context, token string) (access.Principal, *refusal) {
	p, no := a.holder(ctx, "Bearer "+token)
	if no == nil && p.Role != access.Viewer && p.Role != access.Operator {
		no = &refusal{http.StatusForbidden, "the token's role is " + string(p.Role) + ": the page is for viewers and operators"}
	}
	p.Role = access.Viewer
	return p, no
}

// cookieName has the port in it: browsers keep cookies by host, and there may be more than one idds on one.
func cookieName(host string) string {
	if _, port, err := net.SplitHostPort(host); err == nil {
		return "tfpilot_" + port
	}
	return "tfpilot"
}

func sessionToken(line, host string) string {
	cookies, err := http.ParseCookie(line)
	if err != nil { // the one of somebody else on this host; ours may be good
		cookies = (&http.Request{Header: http.Header{"Cookie": {line}}}).Cookies()
	}
	name := cookieName(host)
	for _, c := range cookies {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// login sets the cookie of a token that somebody has typed, and leads to where he was going; or back, with the reason as a number.
func (a *api) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	next := localPath(r.PostFormValue("next"))
	token := strings.TrimSpace(r.PostFormValue("token"))
	var no *refusal
	switch err := http.NewCrossOriginProtection().Check(r); {
	case err != nil: // a page of somebody else logs a browser in
		no = &refusal{status: http.StatusBadRequest}
	case len(token) > maxSession:
		no = &refusal{status: http.StatusRequestEntityTooLarge}
	case token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`",;\`, c) }):
		no = &refusal{status: http.StatusUnauthorized}
	default:
		var p access.Principal
		p, no = a.onlooker(r.Context(), token)
		_, no = a.admit(p, no, r.RemoteAddr, []access.Role{access.Viewer})
	}
	if no != nil {
		http.Redirect(w, r, "/login?"+url.Values{"refused": {strconv.Itoa(no.status)}, "next": {next}}.Encode(), http.StatusSeeOther)
		return
	}
	setSession(w, r, token, int(sessionLife/time.Second))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// logout has the browser forget the cookie.
func (a *api) logout(w http.ResponseWriter, r *http.Request) {
	if http.NewCrossOriginProtection().Check(r) == nil {
		setSession(w, r, "", -1)
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// setSession sets a cookie that no script reads and no other site's page brings along.
func setSession(w http.ResponseWriter, r *http.Request, token string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r.Host), Value: token, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		// A proxy that speaks TLS for us says so; who says so without one harms himself alone.
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// localPath is an address on this server, and the first page when it is none: who logs in is not led to others.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.Contains(text, `\`) || u.Path == "/login" {
		return "/"
	}
	return text
}
