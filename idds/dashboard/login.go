package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// LoginPattern is that of the page where one logs in, which is for everybody. Its form goes to idds' REST interface, which knows the tokens.
const LoginPattern = "GET /login"

// refusals are why somebody was not let in, by the status that stands for it.
var refusals = map[int]string{
	http.StatusUnauthorized:          "That token is not known here, or has expired or was revoked.",
	http.StatusForbidden:             "That token is none for looking: one of role viewer or operator is needed.",
	http.StatusRequestEntityTooLarge: "That token is too long for a browser to keep. Ask for one made by idds.",
	http.StatusBadRequest:            "That came from another site. Log in here.",
	http.StatusTooManyRequests:       "Too many requests. Wait a second.",
	http.StatusServiceUnavailable:    "The issuer of that token does not answer, so that it cannot be checked. Try again, or ask for a token made by idds.",
}

// login is what the page to log in shows.
type login struct {
	Next    string
	Refused string
}

// Login is the page where one logs in.
func (p *Pages) Login(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	status, _ := strconv.Atoi(q.Get("refused")) // else nobody was refused
	why := refusals[status]
	if why == "" && q.Has("ended") {
		why = "Your login has ended: its token has expired, was revoked, or is not known here any more. Log in with another one."
	}
	p.answer(w, r, http.StatusOK, page{Title: "Log in", Name: "login", Data: login{q.Get("next"), why}})
}

// Refuse leads who is not known to the page to log in, and tells others why they may not look.
func (p *Pages) Refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	if status == http.StatusUnauthorized {
		to := url.Values{"next": {r.URL.RequestURI()}}
		if slices.ContainsFunc(r.Cookies(), func(c *http.Cookie) bool { return strings.HasPrefix(c.Name, "tfpilot") }) { // he was in
			to.Set("ended", "1")
		}
		http.Redirect(w, r, "/login?"+to.Encode(), http.StatusSeeOther)
		return
	}
	p.answer(w, r, status, page{Title: http.StatusText(status), Name: "login", Trouble: why})
}
