package payload

import (
	"embed"
	"io/fs"
	"path"
)

// schemas are published as docs/schema, to the letter.
//
//go:embed schema/*.json
var schemas embed.FS

// Schemas are the JSON Schemas (2020-12) of the contract, by the name of their file: the result; request and reply, the lines of a resident payload.
func Schemas() map[string][]byte {
	all := map[string][]byte{}
	err := fs.WalkDir(schemas, "schema", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path.Base(name)], err = schemas.ReadFile(name)
		return err
	})
	if err != nil {
		panic(err) // they are embedded above
	}
	return all
}
