package panda

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"tfpilot/internal/logging"
	"tfpilot/internal/workflow"
)

// refusal is why a request comes to nothing, as an iDDS says it: a status, an exception and its words.
type refusal struct {
	status int
	class  string
	text   string
}

// statuses are those of the exceptions.
var statuses = map[workflow.Kind]int{
	workflow.BadRequest: http.StatusBadRequest, workflow.NoObject: http.StatusNotFound, workflow.Conflict: http.StatusConflict,
	workflow.NoPermission: http.StatusForbidden,
}

func refuse(kind workflow.Kind, format string, args ...any) *refusal {
	return &refusal{statuses[kind], string(kind), fmt.Sprintf(format, args...)}
}

func refuseFault(f *workflow.Fault) *refusal { return refuse(f.Kind, "%s", f.Text) }

// broken is what an error of the store is for who asks.
func broken(err error) *refusal {
	return &refusal{http.StatusInternalServerError, "DatabaseException", logging.Redact(err.Error())}
}

// operation does what a request asks for.
type operation func(r *http.Request) (value any, no *refusal)

// rest answers requests as an iDDS does.
func (s *Server) rest(do operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, no := do(r)
		if no != nil {
			writeRefusal(w, r, *no, exceptionMessage(no.text))
			return
		}
		if wrapped(r) {
			value = wrap(value, nil)
		}
		writeJSON(w, value)
	})
}

// wrapped says whether an answer is wanted that is always 200, and says in its document how it went.
func wrapped(r *http.Request) bool {
	return strings.EqualFold(r.URL.Query().Get("json_outputs"), "true")
}

func wrap(value any, no *refusal) any {
	out := map[string]any{"status": 0, "data": value, "error": nil}
	if no != nil {
		out["status"] = no.status
		out["error"] = map[string]string{"ExceptionClass": no.class, "ExceptionMessage": no.text}
	}
	return out
}

// refuseREST answers who may not ask. The words of that are no JSON.
func refuseREST(w http.ResponseWriter, r *http.Request, status int, why string) {
	if strings.EqualFold(r.Header.Get(headerType), "x509_proxy") && status == http.StatusUnauthorized {
		why = "certificates are not asked for here, but tokens: set auth_type (IDDS_AUTH_TYPE) to oidc, and IDDS_OIDC_TOKEN"
	}
	writeRefusal(w, r, refusal{status, "IDDSException", why}, ascii(why))
}

func writeRefusal(w http.ResponseWriter, r *http.Request, no refusal, words string) {
	if wrapped(r) {
		writeJSON(w, wrap(nil, &no))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ExceptionClass", no.class)
	w.Header().Set("ExceptionMessage", words)
	w.WriteHeader(no.status)
}

// exceptionMessage is a text as the header of this name has it: JSON in plain letters.
func exceptionMessage(text string) string {
	b, err := json.Marshal(map[string]string{"msg": text})
	if err != nil { // never: it is a text
		return "{}"
	}
	return ascii(string(b))
}

// maxHeader bounds the words in a header.
const maxHeader = 2000

// ascii writes other letters as JSON does: what a header takes.
func ascii(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case out.Len() > maxHeader:
			return out.String() + "..."
		case r >= ' ' && r < 0x7f:
			out.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&out, "\\u%04x", r)
		default:
			out.WriteRune('?')
		}
	}
	return out.String()
}

// writeJSON writes a document as an iDDS does: four spaces for each level, keys in their order.
func writeJSON(w http.ResponseWriter, value any) {
	text, err := sorted(value)
	if err != nil {
		writeRefusal(w, &http.Request{}, *broken(err), exceptionMessage(err.Error()))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // or the client is gone
}

func sorted(value any) ([]byte, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	err = e.Encode(plain)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// readBody reads the body of a request as JSON. Where there is none it leaves into as it is.
func readBody(r *http.Request, into any) *refusal {
	b, err := io.ReadAll(r.Body)
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{http.StatusRequestEntityTooLarge, string(workflow.BadRequest), fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit)}
	}
	if err != nil || !utf8.Valid(b) || len(bytes.TrimSpace(b)) > 0 && json.Unmarshal(b, into) != nil {
		return refuse(workflow.BadRequest, "Cannot decode JSON parameter dictionary")
	}
	return nil
}
