package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/metainfo"
)

// maxDepth is deeper than any answer: server, iDDS and a text that is JSON again are three.
const maxDepth = 6

// decode finds the broker configuration in an answer: within the pairs of flag and value of server and iDDS, within the
// document of the new interface, and within texts that are JSON again. The errors complete "the relay ...".
func decode(answer []byte) (metainfo.PromptBroker, error) {
	var none metainfo.PromptBroker
	value := bytes.TrimSpace(answer)
	for range maxDepth {
		switch {
		case len(value) == 0:
			return none, exitcode.New(exitcode.NoService, "answered nothing")
		case value[0] == '[':
			var pair []json.RawMessage
			if err := json.Unmarshal(value, &pair); err != nil || len(pair) != 2 {
				return none, exitcode.New(exitcode.NoService, "answered no pair of flag and value: %s", brief(value))
			}
			if !fine(pair[0]) {
				return none, refusal(pair[1])
			}
			value = pair[1]
		case value[0] == '"':
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return none, exitcode.New(exitcode.NoService, "answered what is no JSON: %s", brief(value))
			}
			value = bytes.TrimSpace([]byte(text))
		case value[0] == '{':
			var modern struct {
				Success *bool           `json:"success"`
				Message string          `json:"message"`
				Data    json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(value, &modern); err != nil {
				return none, exitcode.New(exitcode.NoService, "answered what is no JSON: %s", brief(value))
			}
			if modern.Success == nil {
				return configuration(value)
			}
			if !*modern.Success {
				return none, refusal([]byte(modern.Message))
			}
			value = modern.Data
		default:
			return none, exitcode.New(exitcode.NoService, "answered what is no JSON: %s", brief(value))
		}
	}
	return none, exitcode.New(exitcode.NoService, "answered JSON within JSON without end")
}

// configuration is the document in the middle. Its text may hold passwords: no error quotes it.
func configuration(document []byte) (metainfo.PromptBroker, error) {
	var out metainfo.PromptBroker
	if err := json.Unmarshal(document, &out); err != nil {
		wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
		if !ok {
			return out, exitcode.New(exitcode.BadConfig, "answered a broker configuration that cannot be read")
		}
		return out, exitcode.New(exitcode.BadConfig, "answered a broker configuration in which %s is a %s", wrong.Field, wrong.Value)
	}
	return out, nil
}

// fine reads a flag: iDDS' client says 0 where others say true.
func fine(flag json.RawMessage) bool {
	text := string(bytes.TrimSpace(flag))
	return text == "true" || text == "0"
}

// refusal is the diagnosis beside a flag that is not fine. A refused credential and an iDDS that is down come the same way: the
// words alone tell them apart.
func refusal(diagnosis []byte) error {
	said := brief(diagnosis)
	lower := strings.ToLower(said)
	for _, word := range []string{"authenticat", "authoriz", "unauthor", "token", "401", "403"} {
		if strings.Contains(lower, word) {
			return exitcode.New(exitcode.NoCredential, "refused: %s", said)
		}
	}
	return exitcode.New(exitcode.NoService, "answered: %s", said)
}

// brief is what a server said, in one line of a length that people read, without what looks like a secret.
func brief(b []byte) string {
	const most = 200
	text := string(b)
	var inner string
	if json.Unmarshal(b, &inner) == nil {
		text = inner
	}
	text = strings.Join(strings.Fields(logging.Redact(strings.ToValidUTF8(text, "?"))), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return fmt.Sprintf("%q", text)
}
