// Package quickjson reads and writes structs as JSON in one pass, twice as fast as encoding/json: for programs that are told the same few
// kinds of document some thousand times a second.
//
// It has no rules of its own. Whatever is not plain (a text with escapes in it, a key in capitals or twice, a value of another type,
// what is no JSON at all) is read by encoding/json, from the beginning, whose answer and error it is; what it writes are the bytes that
// encoding/json would. So both may be used for the same document, and a type needs nothing but its tags.
package quickjson
