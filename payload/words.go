package payload

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// inWords puts what encoding/json says of a document into words of that document instead of Go's. What it said stays in the chain:
// it knows the place.
func inWords(err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		value := strings.TrimPrefix(wrong.Value, "number ")
		return worded{strings.TrimSpace(wrong.Field + " is " + value + " where " + goWords(wrong.Type.String()) + " is meant"), err}
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return worded{"unknown key " + key, err}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return worded{"it ends in the middle", err}
	}
	return err
}

// goWords says of a type of Go what stands for it in JSON.
func goWords(t string) string {
	switch {
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case t == "string":
		return "a text"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "[]"), strings.HasSuffix(t, "Set"):
		return "a list"
	default:
		return "an object"
	}
}

// worded is an error in other words.
type worded struct {
	text string
	err  error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.err }
