package stageout

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"tfpilot/internal/exitcode"
)

// Place is a folder on this node or on a server, under which outputs are kept.
type Place struct {
	// scheme is empty for a folder on this node, or root, roots, http, https.
	scheme string
	// host is that of a server, with its port if it was given.
	host string
	// dir is absolute and clean.
	dir string
}

// schemes are those of a place with how they are spoken: WebDAV is HTTP with methods of its own.
var schemes = map[string]string{"root": "root", "roots": "roots", "xroot": "root", "xroots": "roots", "http": "http", "https": "https", "dav": "http", "davs": "https"}

// ParsePlace reads the absolute name of a folder, or a URL such as root://door.example.org:1094//store/epic. The error does not
// repeat a URL, in which a secret may stand.
func ParsePlace(text string) (Place, error) {
	bad := func(format string, args ...any) (Place, error) {
		return Place{}, exitcode.New(exitcode.Usage, "place for outputs: "+format, args...)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return bad("control character")
	}
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		if !path.IsAbs(text) {
			return bad("%.200q is neither the absolute name of a folder nor a URL", text)
		}
		if slices.Contains(strings.Split(text, "/"), "..") {
			return bad("%.200q leads upward", text)
		}
		return Place{dir: path.Clean(text)}, nil
	}
	spoken, known := schemes[scheme]
	if !known {
		return bad("scheme %.20q is none of root, roots, https, davs, http", scheme)
	}
	u, err := url.Parse(spoken + "://" + rest)
	switch {
	case err != nil || u.Hostname() == "":
		return bad("%s: not a URL with a host", scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(rest, "?#"):
		return bad("%s://%s: without user, password, query and fragment: a token goes into a file", scheme, u.Host)
	case u.Path == "" || u.Path == "/":
		return bad("%s://%s: the path is missing", scheme, u.Host)
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return bad("%s://%s%.200s leads upward", scheme, u.Host, u.Path)
	case strings.ContainsFunc(u.Path, notPlain):
		return bad("%s://%s%.200q: letters, digits and /._-+=,@%%~: alone", scheme, u.Host, u.Path)
	}
	return Place{scheme: spoken, host: strings.ToLower(u.Host), dir: path.Clean(u.Path)}, nil
}

// notPlain are characters that XRootD's command lines split or read in a way of their own.
func notPlain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+=,@%~:", r)
}

// IsZero says that there is none.
func (p Place) IsZero() bool { return p.dir == "" }

// Remote says that it is on a server.
func (p Place) Remote() bool { return p.scheme != "" }

// Join is the place below by so many names.
func (p Place) Join(names ...string) Place {
	p.dir = path.Join(append([]string{p.dir}, names...)...)
	return p
}

// Within says that it is the other, or lies below it.
func (p Place) Within(other Place) bool {
	if p.scheme != other.scheme || p.host != other.host || p.IsZero() || other.IsZero() {
		return false
	}
	rel, err := filepath.Rel(other.dir, p.dir)
	return err == nil && filepath.IsLocal(rel)
}

// String is the name of the folder, or the URL.
func (p Place) String() string {
	switch p.scheme {
	case "":
		return p.dir
	case "root", "roots":
		return fmt.Sprintf("%s://%s/%s", p.scheme, p.host, p.dir) // of which the path begins with a slash of its own
	default:
		return (&url.URL{Scheme: p.scheme, Host: p.host, Path: p.dir}).String()
	}
}
