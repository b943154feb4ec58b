package panda

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
	"slices"
	"strings"

	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

// maxCall bounds a call in bytes, as it comes and unpacked.
const maxCall = 1 << 20

// call is a relayed command.
type call struct {
	name             string
	args             []json.RawMessage
	kwargs           arguments
	manager, wrapped bool
}

// arguments are those of a command, by their names.
type arguments map[string]json.RawMessage

// readCall reads a call as any version of the production client sends it: JSON, gzip of JSON, which the legacy endpoint is not
// told of, or a form, which it is not always told of either. Its arguments are JSON within JSON.
func readCall(r *http.Request) (c call, err error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxCall+1))
	if err != nil {
		return c, fmt.Errorf("reading the call: %w", err)
	}
	var in struct {
		Name    string          `json:"command_name"`
		Args    json.RawMessage `json:"args"`
		KWArgs  json.RawMessage `json:"kwargs"`
		Manager any             `json:"manager"`
		Wrapped any             `json:"json_outputs"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" || kind == "" && bytes.Contains(b, []byte("command_name=")) && !bytes.HasPrefix(b, []byte("{")) {
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return c, errors.New("the call is no form")
		}
		in.Name, in.Args, in.KWArgs = form.Get("command_name"), json.RawMessage(form.Get("args")), json.RawMessage(form.Get("kwargs"))
		in.Manager, in.Wrapped = form.Get("manager"), form.Get("json_outputs")
	} else if err := readPacked(b, &in); err != nil {
		return c, err
	}
	name, _, _ := strings.Cut(in.Name, "+") // what follows selects an iDDS: we are the one
	c = call{name: name, manager: truth(in.Manager), wrapped: truth(in.Wrapped), kwargs: arguments{}}
	if err := within(in.Args, &c.args); err != nil {
		return c, errors.New("args is no JSON list in a text")
	}
	if err := within(in.KWArgs, &c.kwargs); err != nil {
		return c, errors.New("kwargs is no JSON object in a text")
	}
	return c, nil
}

func readPacked(b []byte, into any) error {
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return fmt.Errorf("unpacking the call: %w", err)
		}
		if b, err = io.ReadAll(io.LimitReader(z, maxCall+1)); err != nil {
			return fmt.Errorf("unpacking the call: %w", err)
		}
	}
	if len(b) > maxCall {
		return fmt.Errorf("the call is longer than %d bytes", maxCall)
	}
	if json.Unmarshal(b, into) != nil {
		return errors.New("the call is no JSON object")
	}
	return nil
}

// within reads JSON that is a text within JSON, or stands there itself.
func within(raw json.RawMessage, into any) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if len(bytes.TrimSpace(raw)) == 0 || string(raw) == "null" {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// truth is a flag of Python: a bool, or what one looks like in a form.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true") || v == "1"
	default:
		return false
	}
}

// bind gives the arguments their names, as Python does.
func (c call) bind(names []string) (arguments, error) {
	if len(c.args) > len(names) {
		return nil, fmt.Errorf("%s() takes %d arguments but %d were given", c.name, len(names), len(c.args))
	}
	out := arguments{}
	for i, v := range c.args {
		out[names[i]] = v
	}
	for name, v := range c.kwargs {
		if _, twice := out[name]; twice || !slices.Contains(names, name) {
			return nil, fmt.Errorf("%s() got an unexpected keyword argument '%.40s'", c.name, name)
		}
		out[name] = v
	}
	return out, nil
}

func (args arguments) null(name string) bool {
	return len(args[name]) == 0 || string(args[name]) == "null"
}

func (args arguments) text(name string) string {
	var text message.Text
	_ = json.Unmarshal(args[name], &text) // what is no text names nothing
	return string(text)
}

// numbers are those that name a task.
func (args arguments) numbers() (a about, no *refusal) {
	for name, into := range map[string]*message.Int{"request_id": &a.request, "transform_id": &a.transform, "workload_id": &a.workload} {
		if args.null(name) {
			continue
		}
		if json.Unmarshal(args[name], into) != nil || into.Int64() <= 0 {
			return a, refuse(workflow.BadRequest, "%s is no number", name)
		}
	}
	return a, nil
}

// about is what a message is about.
func (args arguments) about() (about, *refusal) {
	a, no := args.numbers()
	if no != nil {
		return a, no
	}
	a.internal = args.text("internal_id")
	return a, a.check()
}
