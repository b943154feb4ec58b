package stomp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-stomp/stomp/v3/frame"
)

var (
	// ErrClosed is the end by Close or Disconnect, and what every pending request gets when the connection ends for whatever
	// reason: nobody knows then whether the broker saw it.
	ErrClosed = errors.New("connection closed")
	// ErrHeartBeat is the end because the broker was silent for too long.
	ErrHeartBeat = errors.New("no heart-beat from the broker")
	// ErrNoReceipt is the end because the broker is alive but does not answer a request.
	ErrNoReceipt = errors.New("no receipt from the broker")
	// ErrSlowConsumer is the end because a consumer left too much untaken (Config.MaxQueuedBytes).
	ErrSlowConsumer = errors.New("consumer too slow")
	// ErrNotHeld refuses to acknowledge a message that the broker no longer counts as ours: acknowledged before, given back
	// by Unsubscribe, delivered by another connection, or never in need of it.
	ErrNotHeld = errors.New("message is not held")

	// errLeft ends a request that another one made needless.
	errLeft = errors.New("unsubscribed already")
)

// ServerError is an ERROR frame: the broker's refusal of one frame (ReceiptID says of which), or of all of them.
type ServerError struct {
	Message, Body, ReceiptID string
}

func (e *ServerError) Error() string {
	if e.Body == "" || e.Body == e.Message {
		return "broker refused: " + e.Message
	}
	return fmt.Sprintf("broker refused: %s: %.300s", e.Message, e.Body)
}

func serverError(f *frame.Frame) *ServerError {
	return &ServerError{
		Message: f.Header.Get(frame.Message), Body: string(f.Body), ReceiptID: f.Header.Get(frame.ReceiptId),
	}
}

// without masks a passcode that a broker repeats to who sent it. One that is the login is no secret: brokers say who was refused. One of
// the letters a to z alone may be an ordinary word, such as admin: it is masked where it stands as a word, so that the rest can be read.
func (e *ServerError) without(passcode, login string) *ServerError {
	if passcode == "" || passcode == login {
		return e
	}
	shape := regexp.QuoteMeta(passcode)
	if !strings.ContainsFunc(passcode, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }) { // as \b knows them
		shape = `\b` + shape + `\b`
	}
	secret := regexp.MustCompile(shape)
	e.Message, e.Body = secret.ReplaceAllLiteralString(e.Message, "***"), secret.ReplaceAllLiteralString(e.Body, "***")
	return e
}
