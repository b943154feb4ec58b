package pilotcmd

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// brokerFile is the TOML of --broker-config: the keys of /metainfo/prompt_broker. A pilot has one connection: where a table has
// brokers of its own, they must be those of transformer_broker.
type brokerFile struct {
	Transformer fileEntry `toml:"transformer_broker"`
	Broadcast   fileEntry `toml:"transformer_broadcast_broker"`
	Result      fileEntry `toml:"result_broker"`
}

type fileEntry struct {
	Destination string   `toml:"destination"`
	Brokers     []string `toml:"brokers"`
	Username    string   `toml:"username"`
	Password    string   `toml:"password"`
}

func (e fileEntry) entry() *message.BrokerEntry {
	return &message.BrokerEntry{Destination: e.Destination, Brokers: e.Brokers, Username: e.Username, Password: e.Password}
}

// like gives an entry what the first has and it has not.
func (e fileEntry) like(first fileEntry) (fileEntry, error) {
	if e.Brokers == nil && e.Username == "" && e.Password == "" {
		e.Brokers, e.Username, e.Password = first.Brokers, first.Username, first.Password
	}
	if !slices.Equal(e.Brokers, first.Brokers) || e.Username != first.Username || e.Password != first.Password {
		return e, errors.New("other brokers, username or password than transformer_broker: a pilot has one connection")
	}
	return e, nil
}

// readBrokerConfig reads the file; since it may hold a password, nothing of its text is quoted in an error but keys.
func readBrokerConfig(path string) (message.PromptBroker, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return message.PromptBroker{}, exitcode.New(exitcode.BadConfig, "reading the broker configuration: %w", err)
	}
	var f brokerFile
	if err := config.DecodeTOML(path, text, &f); err != nil {
		return message.PromptBroker{}, err
	}
	if info, err := os.Stat(path); f.Transformer.Password != "" && err == nil && info.Mode().Perm()&0o077 != 0 {
		return message.PromptBroker{}, exitcode.New(exitcode.NoCredential, "%s holds a password and is readable by others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	var errs []error
	for name, e := range map[string]*fileEntry{"transformer_broadcast_broker": &f.Broadcast, "result_broker": &f.Result} {
		if *e, err = e.like(f.Transformer); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	p := message.PromptBroker{
		TransformerBroker: f.Transformer.entry(), TransformerBroadcastBroker: f.Broadcast.entry(), ResultBroker: f.Result.entry(),
	}
	if err := errors.Join(append(errs, p.Validate())...); err != nil {
		return p, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s: %w", path, err), "docs/operations.md has an example")
	}
	return p, nil
}
