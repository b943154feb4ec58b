package apidoc

import (
	"bytes"
	_ "embed"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed page.html.tmpl
var docsText string

// Page is the interface for people to read, in HTML. It asks nobody else for anything: a control room has no internet.
func Page(doc *huma.OpenAPI) ([]byte, error) {
	var out bytes.Buffer
	err := template.Must(template.New("docs").Parse(docsText)).Execute(&out, describe(doc))
	return out.Bytes(), err
}

// described is what the page shows.
type described struct {
	Title, Version, Text string
	Operations           []describedOperation
	Schemas              []describedSchema
}

type describedOperation struct {
	ID, Method, Path, Summary, Text string
	Parameters                      []describedField
	Takes                           string
	Answers                         []describedAnswer
}

type describedAnswer struct{ Status, Text, Schema string }

type describedSchema struct {
	Name   string
	Fields []describedField
}

type describedField struct {
	Name, In, Type, Schema, Text string
	Required                     bool
}

func describe(doc *huma.OpenAPI) described {
	d := described{Title: doc.Info.Title, Version: doc.Info.Version, Text: doc.Info.Description}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				d.Operations = append(d.Operations, describeOperation(op))
			}
		}
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		s := schemas[name]
		out := describedSchema{Name: name}
		for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
			out.Fields = append(out.Fields, describeField(field, "", s.Properties[field], slices.Contains(s.Required, field)))
		}
		d.Schemas = append(d.Schemas, out)
	}
	return d
}

func describeOperation(op *huma.Operation) describedOperation {
	out := describedOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Text: op.Description}
	for _, p := range op.Parameters {
		f := describeField(p.Name, p.In, p.Schema, p.Required)
		f.Text = p.Description
		out.Parameters = append(out.Parameters, f)
	}
	if op.RequestBody != nil {
		out.Takes = contentSchema(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		out.Answers = append(out.Answers, describedAnswer{status, r.Description, contentSchema(r.Content)})
	}
	return out
}

func contentSchema(content map[string]*huma.MediaType) string {
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		if name := refName(content[kind].Schema); name != "" {
			return name
		}
	}
	return ""
}

func describeField(name, in string, s *huma.Schema, required bool) describedField {
	f := describedField{Name: name, In: in, Required: required}
	if s == nil {
		return f
	}
	f.Text, f.Schema, f.Type = s.Description, refName(s), s.Type
	switch {
	case s.Type == huma.TypeArray && s.Items != nil:
		item := describeField("", "", s.Items, false)
		f.Schema, f.Type = item.Schema, strings.TrimSpace("list of "+item.Type)
	case s.Format != "":
		f.Type += " (" + s.Format + ")"
	}
	if len(s.Enum) > 0 {
		var words []string
		for _, v := range s.Enum {
			if w, ok := v.(string); ok && w != "" {
				words = append(words, w)
			}
		}
		f.Type = strings.Join(words, " | ")
	}
	return f
}

func refName(s *huma.Schema) string {
	if s == nil {
		return ""
	}
	return strings.TrimPrefix(s.Ref, schemaPrefix)
}
