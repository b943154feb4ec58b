package admission

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/access"
)

const (
	// sessionLife is how long a browser keeps the cookie; the token in it may end sooner.
	sessionLife = 30 * 24 * time.Hour
	// maxSession is the longest token that fits: browsers drop a cookie of more than 4096 bytes without a word.
	maxSession = 3800
)

// visitor is who looks without an Authorization header: by his cookie, or as nobody in particular, where everybody may.
func (d *Door) visitor(ctx context.Context, r *http.Request) (access.Principal, *Refusal) {
	p, no := access.Principal{}, &Refusal{http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer <token>, or log in at /login"}
	if token := sessionToken(r.Header.Get("Cookie"), r.Host); token != "" {
		p, no = d.onlooker(ctx, token)
	}
	if no != nil && d.cfg.Public {
		return access.Principal{Role: access.Viewer, Namespace: d.cfg.Namespace}, nil
	}
	return p, no
}

// onlooker is the holder of a token who logs in, or has: a viewer, whatever else the token may do.
func (d *Door) onlooker(ctx context.Context, token string) (access.Principal, *Refusal) {
	p, no := d.holder(ctx, "Bearer "+token)
	if no == nil && p.Role != access.Viewer && p.Role != access.Operator {
		no = &Refusal{http.StatusForbidden, "the token's role is " + string(p.Role) + ": the page is for viewers and operators"}
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

// Login sets the cookie of a token that somebody has typed, and leads to where he was going; or back, with the reason as a number.
func (d *Door) Login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	next := localPath(r.PostFormValue("next"))
	token := strings.TrimSpace(r.PostFormValue("token"))
	var no *Refusal
	switch err := http.NewCrossOriginProtection().Check(r); {
	case err != nil: // a page of somebody else logs a browser in
		no = &Refusal{Status: http.StatusBadRequest}
	case len(token) > maxSession:
		no = &Refusal{Status: http.StatusRequestEntityTooLarge}
	case token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`",;\`, c) }):
		no = &Refusal{Status: http.StatusUnauthorized}
	default:
		var p access.Principal
		p, no = d.onlooker(r.Context(), token)
		no = d.admit(p, no, r.RemoteAddr, []access.Role{access.Viewer})
	}
	if no != nil {
		http.Redirect(w, r, "/login?"+url.Values{"refused": {strconv.Itoa(no.Status)}, "next": {next}}.Encode(), http.StatusSeeOther)
		return
	}
	setSession(w, r, token, int(sessionLife/time.Second))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// Logout has the browser forget the cookie.
func (d *Door) Logout(w http.ResponseWriter, r *http.Request) {
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
