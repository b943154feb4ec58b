package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"tfpilot/internal/ledger"
)

// maxCall bounds a call in bytes, as it comes and unpacked.
const maxCall = 64 << 10

// relayLegacy answers what the PanDA server relays to iDDS, so that a production worker whose PANDA_URL_SSL names us gets its
// brokers: a pair of flag and value, and within it the pair of iDDS' client.
func (a *api) relayLegacy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	p, no := a.mayRelay(r)
	if no != nil {
		w.WriteHeader(no.status)
		_, _ = io.WriteString(w, "ERROR : Token authentication failed. "+no.text)
		return
	}
	value, err := a.relay(r, p)
	if err != nil {
		value = err.Error()
	}
	answer(w, []any{true, []any{err == nil, value}})
}

// relayModern is the same on the PanDA server's new interface.
func (a *api) relayModern(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	type document struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
		Data    any    `json:"data"`
	}
	p, no := a.mayRelay(r)
	if no != nil {
		w.WriteHeader(no.status)
		answer(w, document{Message: no.text})
		return
	}
	value, err := a.relay(r, p)
	if err != nil {
		answer(w, document{Message: err.Error(), Data: []any{false, err.Error()}})
		return
	}
	answer(w, document{Success: true, Data: []any{true, value}})
}

func answer(w io.Writer, document any) {
	_ = json.NewEncoder(w).Encode(document) // the client is gone
}

// mayRelay says who relays, or why he may not. PanDA has one status for both kinds of refusal.
func (a *api) mayRelay(r *http.Request) (ledger.Principal, *refusal) {
	p, no := a.identify(r.Context(), r.Header.Get, r.RemoteAddr, []ledger.Role{ledger.RolePilot})
	if no != nil && (no.status == http.StatusUnauthorized || no.status == http.StatusForbidden) {
		no = &refusal{http.StatusForbidden, "a token of role pilot is needed: idds token --state STATE pilot (" + no.text + ")"}
	}
	return p, no
}

// call is a relayed command. Its arguments are JSON within JSON.
type call struct {
	CommandName string `json:"command_name"`
	KWArgs      string `json:"kwargs"`
}

// relay does the one command that a worker needs.
func (a *api) relay(r *http.Request, p ledger.Principal) (any, error) {
	c, err := readCall(r)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(c.CommandName, "+") // what follows selects an iDDS: we are the one
	switch name {
	case "get_metainfo":
		var args struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal([]byte(c.KWArgs), &args); err != nil {
			return nil, errors.New("kwargs is no JSON object in a text")
		}
		if args.Name != "prompt_broker" {
			return nil, fmt.Errorf("get_metainfo knows prompt_broker, not %.40q", args.Name)
		}
		return a.brokerFor(p)
	case "ping":
		return map[string]string{"Status": "OK"}, nil
	default:
		return nil, fmt.Errorf("this idds relays get_metainfo and ping, not %.40q", name)
	}
}

// readCall reads a call as any version of the production client sends it: JSON, gzip of JSON, which the legacy endpoint is not
// told of, or a form, which it is not always told of either.
func readCall(r *http.Request) (call, error) {
	var c call
	b, err := io.ReadAll(io.LimitReader(r.Body, maxCall))
	if err != nil {
		return c, fmt.Errorf("reading the call: %w", err)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" || kind == "" && bytes.HasPrefix(b, []byte("command_name=")) {
		form, err := url.ParseQuery(string(b))
		return call{form.Get("command_name"), form.Get("kwargs")}, err
	}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return c, fmt.Errorf("unpacking the call: %w", err)
		}
		if b, err = io.ReadAll(io.LimitReader(z, maxCall)); err != nil {
			return c, fmt.Errorf("unpacking the call: %w", err)
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, errors.New("the call is no JSON object")
	}
	return c, nil
}
