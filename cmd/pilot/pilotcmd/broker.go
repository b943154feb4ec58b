package pilotcmd

import (
	"os"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// brokerFile is the TOML of --broker-config: the keys of /metainfo/prompt_broker.
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
	p := message.PromptBroker{
		TransformerBroker: f.Transformer.entry(), TransformerBroadcastBroker: f.Broadcast.entry(), ResultBroker: f.Result.entry(),
	}
	if err := p.Validate(); err != nil {
		return p, exitcode.New(exitcode.BadConfig, "%s: %w", path, err)
	}
	return p, nil
}
