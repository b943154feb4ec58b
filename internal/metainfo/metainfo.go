package metainfo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// PromptBroker is the broker configuration of a worker: the answer of GET /metainfo/prompt_broker, and the content of
// prompt.conf. An unmodified server answers null for entries that its configuration lacks.
type PromptBroker struct {
	TransformerBroker          *BrokerEntry `json:"transformer_broker"`
	TransformerBroadcastBroker *BrokerEntry `json:"transformer_broadcast_broker"`
	ResultBroker               *BrokerEntry `json:"result_broker"`
}

// BrokerEntry is one destination with the brokers that have it. Times are seconds.
type BrokerEntry struct {
	Destination       string     `json:"destination"`
	Brokers           BrokerList `json:"brokers"`
	Username          string     `json:"username"`
	Password          string     `json:"password"`
	BrokerTimeout     float64    `json:"broker_timeout,omitempty"`
	HeartbeatInterval float64    `json:"heartbeat_interval,omitempty"`
	UseSSL            bool       `json:"use_ssl"`
	SSLCACerts        *string    `json:"ssl_ca_certs"`
	ResolveHostnames  bool       `json:"resolve_hostnames"`
}

// BrokerList is "host:port[,host:port]" or a JSON list of such texts. It is written as the text.
type BrokerList []string

// MarshalJSON writes the comma-separated text.
func (l BrokerList) MarshalJSON() ([]byte, error) { return json.Marshal(strings.Join(l, ",")) }

// UnmarshalJSON accepts both forms.
func (l *BrokerList) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) != nil {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return errors.New("brokers is neither text nor a list of texts")
		}
		list = strings.Split(text, ",")
	}
	*l = nil
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			*l = append(*l, s)
		}
	}
	return nil
}

// Validate names every entry that a worker cannot do without.
func (p PromptBroker) Validate() error {
	var errs []error
	for _, e := range []struct {
		name  string
		entry *BrokerEntry
	}{
		{"transformer_broker", p.TransformerBroker},
		{"transformer_broadcast_broker", p.TransformerBroadcastBroker},
		{"result_broker", p.ResultBroker},
	} {
		switch {
		case e.entry == nil:
			errs = append(errs, fmt.Errorf("%s missing", e.name))
		case e.entry.Destination == "":
			errs = append(errs, fmt.Errorf("%s: destination missing", e.name))
		case len(e.entry.Brokers) == 0:
			errs = append(errs, fmt.Errorf("%s: brokers missing", e.name))
		}
	}
	return errors.Join(errs...)
}
