package apidoc

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// JSON is the OpenAPI document. It says of requests what is so, and what the library does not say of itself: a key that may be missing
// may be null as well, and so may a document in a list.
func JSON(doc *huma.OpenAPI) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	var d node
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, err
	}
	n := nulls{schemas: d.at("components").at("schemas"), seen: map[string]bool{}}
	for _, path := range d.at("paths") {
		for _, op := range asNode(path) {
			for _, content := range asNode(op).at("requestBody").at("content") {
				n.tell(asNode(content).at("schema"))
			}
		}
	}
	return json.Marshal(d)
}

// node is an object of the document.
type node map[string]any

func asNode(v any) node {
	switch v := v.(type) {
	case node:
		return v
	case map[string]any:
		return v
	default:
		return nil
	}
}

func (n node) at(key string) node { return asNode(n[key]) }

// nulls tells of them, in each schema once.
type nulls struct {
	schemas node
	seen    map[string]bool
}

func (n nulls) tell(schema node) {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, schemaPrefix)
		if n.seen[name] {
			return
		}
		n.seen[name] = true
		schema = n.schemas.at(name)
	}
	if items := schema.at("items"); items != nil {
		n.tell(items)
		if _, document := items["$ref"]; document {
			schema["items"] = orNull(items)
		}
	}
	required, _ := schema["required"].([]any)
	properties := schema.at("properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties.at(name)
		if n.tell(p); !slices.Contains(required, any(name)) {
			properties[name] = orNull(p)
		}
	}
}

func orNull(schema node) node {
	kind, plain := schema["type"].(string)
	switch {
	case plain:
		schema["type"] = []any{kind, "null"}
	case schema["$ref"] != nil:
		return node{"anyOf": []any{schema, node{"type": "null"}}}
	}
	return schema
}

// schemaPrefix is what a reference to a schema begins with.
const schemaPrefix = "#/components/schemas/"
