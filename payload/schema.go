package payload

import "embed"

// schemas are published as docs/schema, to the letter.
//
//go:embed schema/*.json
var schemas embed.FS

// ResultSchema is the JSON Schema (2020-12) of the result document.
func ResultSchema() []byte { return schema("result") }

func schema(name string) []byte {
	b, err := schemas.ReadFile("schema/" + name + ".json")
	if err != nil {
		panic(err) // it is embedded above
	}
	return b
}
