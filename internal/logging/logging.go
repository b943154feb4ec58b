// Package logging makes the one logger of a program: text with colours on a terminal, JSON lines otherwise, always to the
// writer it is given (stderr), never with a secret in it: every text passes [Redact].
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// The keys of attributes that more than one component logs.
const (
	KeyComponent = "component"
	KeyRun       = "run_id"
	KeySlice     = "slice_id"
	KeyPilot     = "pilot_id"
	KeyWorker    = "worker_id"
	KeyBatch     = "batch_id"
	KeyAttempt   = "attempt"
	KeyError     = "err"
)

// Err is the attribute of an error.
func Err(err error) slog.Attr { return slog.Any(KeyError, err) }

// New makes a logger for a component. Level is debug, info, warn or error; format is text, json, or auto for text exactly
// when w is a terminal.
func New(w io.Writer, component, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	f, isFile := w.(*os.File)
	terminal := isFile && isatty.IsTerminal(f.Fd())
	if format == "" || format == "auto" {
		format = "json"
		if terminal {
			format = "text"
		}
	}
	var h slog.Handler
	switch format {
	case "json":
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})
	case "text":
		h = tint.NewTextHandler(w, &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: !terminal})
	default:
		return nil, fmt.Errorf("log format %q is none of auto, text, json", format)
	}
	return slog.New(redacting{h}).With(slog.String(KeyComponent, component)), nil
}

// Discard is a logger for callers that want none.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Also is a logger whose lines go to another handler too, which sees no secret either.
func Also(l *slog.Logger, more slog.Handler) *slog.Logger {
	return slog.New(slog.NewMultiHandler(l.Handler(), redacting{more}))
}

// secrets are the shapes in which a credential shows up in texts: bearer tokens, passwords in URLs and in key=value or
// "key":"value" pairs. XRootD redirects carry the token in ?authz=, and Go prints the URL of a failed request.
var secrets = []struct {
	shape *regexp.Regexp
	mask  string
}{
	{regexp.MustCompile(`(?i)(bearer(?:\s+|%20))[A-Za-z0-9._~+/=-]+`), "${1}***"},
	{regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`), "${1}***@"},
	{regexp.MustCompile(`(?i)(` + secretNames + `"?\s*=\s*"?)[^\s"&,;}]+`), "${1}***"},
	// Of /etc/passwd: something is said, of username/password: it is told.
	{regexp.MustCompile(`(?i)((?:^|[^/]|(?:^|[^\w./~-])[\w.-]+/)` + secretNames + `"?\s*:\s*"?)[^\s"&,;}]+`), "${1}***"},
}

const secretNames = `(?:authz|access_token|id_token|token|passcode|password|passwd|secret)`

// Redact masks everything in s that looks like a credential.
func Redact(s string) string {
	if !strings.ContainsAny(s, " %:=") {
		return s // none of the shapes: most attributes are names and numbers
	}
	for _, p := range secrets {
		s = p.shape.ReplaceAllString(s, p.mask)
	}
	return s
}

// RedactValue masks what must not be shown of the value of an attribute, or of a key of a document.
func RedactValue(key, value string) string {
	if secretKey(key) {
		return "***"
	}
	return Redact(value)
}

// secretKey tells by an attribute's name that its value must not be shown, whatever it looks like.
func secretKey(key string) bool {
	k := strings.ToLower(key)
	for _, word := range []string{"password", "passcode", "token", "secret"} {
		if strings.HasSuffix(k, word) {
			return true
		}
	}
	return false
}

// redacting passes every text through Redact before the real handler sees it.
type redacting struct{ next slog.Handler }

func (h redacting) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h redacting) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redacting) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return redacting{h.next.WithAttrs(clean)}
}

func (h redacting) WithGroup(name string) slog.Handler { return redacting{h.next.WithGroup(name)} }

func redactAttr(a slog.Attr) slog.Attr {
	if secretKey(a.Key) {
		return slog.String(a.Key, "***")
	}
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Redact(v.String()))
	case slog.KindGroup:
		var group []slog.Attr
		for _, member := range v.Group() {
			group = append(group, redactAttr(member))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, Redact(err.Error()))
		}
		return slog.String(a.Key, Redact(fmt.Sprint(v.Any())))
	case slog.KindDuration: // of which JSON would have nanoseconds without a unit
		return slog.String(a.Key, v.Duration().String())
	default:
		return a
	}
}
