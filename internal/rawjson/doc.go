// Package rawjson works on JSON as it stands, byte for byte: for documents of others, of which a part is read and all of it passed on.
//
// An [Object] is taken apart into keys and values without a look into them, and put together again with some of them set: what we do not
// know of a message comes out as it went in, in its place. [Text] reads a string, [QuoteNaN] makes JSON of what Python writes instead.
//
// What a value means is for [encoding/json], and for [tfpilot/internal/quickjson].
package rawjson
