package prompt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/pilot/prompt"
)

// FuzzRead looks for a prompt.conf that is accepted without its brokers, or whose error shows the password.
func FuzzRead(f *testing.F) {
	const secret = "pa55-w0rd-of-a-worker"
	entry := `{"destination": "/queue/x", "brokers": "a:1", "username": "u", "password": "` + secret + `"}`
	f.Add("[prompt]\ntransformer_broker = " + entry + "\ntransformer_broadcast_broker: " + entry + "\nresult_broker =\n  " + entry + "\n")
	f.Add("; nothing\n[other]\nresult_broker = 1\n[prompt]\nresult_broker = {\"password\": \"" + secret + "\", \"brokers\": 7}\n")
	f.Add("[prompt]\n=x\n")
	f.Add("[prompt]\r\nresult_broker = " + entry + secret + "\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "prompt.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := prompt.Read(path)
		if err == nil && (conf.TransformerBroker == nil || conf.TransformerBroadcastBroker == nil || conf.ResultBroker == nil) {
			t.Errorf("%q has no brokers: %+v", text, conf)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error shows the password: %v", text, err)
		}
	})
}
