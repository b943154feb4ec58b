package stompd

import "fmt"

// refusal is an error that goes to the client as an ERROR frame, after which the connection closes.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }
