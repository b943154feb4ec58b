package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/metainfo"
)

// ConfEnv names the file that goes before the relay.
const ConfEnv = "PROMPT_TRANSFORM_CONF"

// section holds the brokers.
const section = "prompt"

// Default looks for a prompt.conf where the production worker does when nothing else has told it of brokers: in the current
// folder, beside the program, for the whole machine. ok is false when there is none; tried are the places, for a message.
func Default(program string) (path string, tried []string, ok bool) {
	tried = []string{"prompt.conf", filepath.Join(filepath.Dir(program), "conf", "prompt.conf"), "/etc/swf_transform/prompt.conf"}
	for _, path := range tried {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, tried, true // one that cannot be read is one that somebody meant
		}
	}
	return "", tried, false
}

// Read reads the three brokers from section [prompt] of an INI file, whose values are JSON. Since they hold passwords, no error
// quotes a value.
func Read(path string) (metainfo.PromptBroker, error) {
	var out metainfo.PromptBroker
	text, err := os.ReadFile(path)
	if err != nil {
		return out, exitcode.New(exitcode.BadConfig, "reading prompt.conf: %w", err)
	}
	values, err := parse(string(text))
	if err != nil {
		return out, exitcode.New(exitcode.BadConfig, "%s%w", path, err)
	}
	var errs []error
	for _, e := range []struct {
		key  string
		into **metainfo.BrokerEntry
	}{
		{"transformer_broker", &out.TransformerBroker},
		{"transformer_broadcast_broker", &out.TransformerBroadcastBroker},
		{"result_broker", &out.ResultBroker},
	} {
		v, ok := values[e.key]
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(v.text), e.into); err != nil {
			errs = append(errs, fmt.Errorf("line %d: %s is %s", v.line, e.key, mistake(err)))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, out.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return out, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s: [%s]: %w", path, section, err), "docs/compatibility.md has an example")
	}
	return out, nil
}

// mistake says what is wrong with JSON without quoting it.
func mistake(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("no broker: %s is a %s", wrong.Field, wrong.Value)
	}
	return "no JSON"
}

// value is the text of a key with the line on which it begins.
type value struct {
	text string
	line int
}

// parse reads the section as Python's configparser does: "key = value" or "key: value", keys in any case, comments on lines of
// their own, values that go on in indented lines. The error begins with ":LINE".
func parse(text string) (map[string]value, error) {
	values := map[string]value{}
	inside, seen, last := false, false, ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case last != "" && (line[0] == ' ' || line[0] == '\t'):
			v := values[last]
			v.text += "\n" + trimmed
			values[last] = v
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			inside = trimmed == "["+section+"]"
			seen, last = seen || inside, ""
		case inside:
			at := strings.IndexAny(trimmed, "=:")
			if at < 1 {
				return nil, fmt.Errorf(":%d: neither [section] nor key = value", i+1)
			}
			last = strings.ToLower(strings.TrimSpace(trimmed[:at]))
			if _, twice := values[last]; twice {
				return nil, fmt.Errorf(":%d: %s is there twice", i+1, last)
			}
			values[last] = value{strings.TrimSpace(trimmed[at+1:]), i + 1}
		}
	}
	if !seen {
		return nil, fmt.Errorf(": section [%s] missing", section)
	}
	return values, nil
}
