package relay_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"tfpilot/pilot/relay"
)

// answers is a server in memory that says the same to everybody.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

// FuzzAnswer looks for an answer of the relay that is taken for a broker configuration when it is none, or whose error shows
// the token that the server echoes.
func FuzzAnswer(f *testing.F) {
	b, err := os.ReadFile("testdata/relay_response.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	for _, s := range []string{
		`[false, "Authentication failed: ` + token + `"]`, `[true,[false,"` + token + `"]]`, `{"success":false,"message":"` + token + `"}`,
		`{"success":true,"data":[0,"{}"]}`, `"\"\\\"7\\\"\""`, `<html>` + token + `</html>`, ``, `[0,{"result_broker":{"brokers":7,"password":"` + token + `"}}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		c, err := relay.New(relay.Config{
			URL: "https://127.0.0.1:1/server/panda", Credential: relay.Credential{Token: token, VO: "EIC", From: "PANDA_AUTH_DIR"}, Transport: answers(said),
		})
		must(t, err)
		conf, err := c.PromptBroker(t.Context())
		if err == nil && conf.Validate() != nil {
			t.Errorf("%q is no configuration: %+v", said, conf)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%q: the error shows the token: %v", said, err)
		}
	})
}
