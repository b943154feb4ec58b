package prompt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/testkit"
	"tfpilot/pilot/prompt"
)

var must = testkit.Must

const conf = `# brokers of the worker
[DEFAULT]
log = nothing for us
[prompt]
Transformer_Broker = {"destination": "/queue/panda.slices.transformer", "brokers": "h1:61612,h2:61612", "username": "u", "password": "s3cret"}
; the next one goes on below
transformer_broadcast_broker: {"destination": "/topic/panda.transformer",
    "brokers": ["h1:61612"],

    # between the lines
    "use_ssl": true, "ssl_ca_certs": null}
result_broker={"destination": "/topic/panda.results", "brokers": "h1:61612", "unheard": 1}
[idds]
result_broker = {}
`

func confFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prompt.conf")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAProductionFileIsReadAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{conf, strings.ReplaceAll(conf, "\n", "\r\n")} {
		got, err := prompt.Read(confFile(t, text))
		want := metainfo.PromptBroker{
			TransformerBroker:          &metainfo.BrokerEntry{Destination: "/queue/panda.slices.transformer", Brokers: []string{"h1:61612", "h2:61612"}, Username: "u", Password: "s3cret"},
			TransformerBroadcastBroker: &metainfo.BrokerEntry{Destination: "/topic/panda.transformer", Brokers: []string{"h1:61612"}, UseSSL: true},
			ResultBroker:               &metainfo.BrokerEntry{Destination: "/topic/panda.results", Brokers: []string{"h1:61612"}},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
}

func TestABadFileSaysWhatAndWhereWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "section [prompt] missing"},
		{"another section", "[idds]\na = 1\n", "section [prompt] missing"},
		{"an entry missing", strings.Replace(conf, "result_broker=", "results=", 1), "[prompt]: result_broker missing"},
		{"an entry null", strings.Replace(conf, `result_broker={`, "result_broker=null\nx={", 1), "result_broker missing"},
		{"no destination", strings.Replace(conf, `"destination": "/topic/panda.results"`, `"x": 1`, 1), "result_broker: destination missing"},
		{"no brokers", strings.Replace(conf, `"brokers": ["h1:61612"]`, `"brokers": ""`, 1), "transformer_broadcast_broker: brokers missing"},
		{"no JSON", strings.Replace(conf, `"password": "s3cret"}`, `"password": 's3cret'}`, 1), "line 5: transformer_broker is no JSON"},
		{"another type", strings.Replace(conf, `"username": "u"`, `"username": 7`, 1), "line 5: transformer_broker is no broker: username is a number"},
		{"no key", "[prompt]\ns3cret\n", ":2: neither"},
		{"twice", conf + "[prompt]\nresult_broker = {}\n", "result_broker is there twice"},
	} {
		path := confFile(t, c.text)
		_, err := prompt.Read(path)
		if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := prompt.Read("/nowhere/prompt.conf"); exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), "/nowhere/prompt.conf") {
		t.Errorf("got %v", err)
	}
}

func TestTheDefaultFilesAreTriedInTheOrderOfTheProductionWorker(t *testing.T) {
	t.Chdir(t.TempDir())
	program := filepath.Join(t.TempDir(), "run_prompt")
	beside := filepath.Join(filepath.Dir(program), "conf", "prompt.conf")
	if path, tried, ok := prompt.Default(program); ok || !cmp.Equal(tried, []string{"prompt.conf", beside, "/etc/swf_transform/prompt.conf"}) {
		t.Errorf("%q %v", path, tried)
	}
	must(t, os.Mkdir(filepath.Dir(beside), 0o700))
	must(t, os.WriteFile(beside, nil, 0o600))
	if path, _, ok := prompt.Default(program); !ok || path != beside {
		t.Errorf("%q", path)
	}
	must(t, os.WriteFile("prompt.conf", nil, 0o600))
	if path, _, ok := prompt.Default(program); !ok || path != "prompt.conf" {
		t.Errorf("%q", path)
	}
}

func TestTheExampleOfTheGuideIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/compatibility.md")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "```ini\n")
	example, _, closed := strings.Cut(rest, "```")
	if !closed {
		t.Fatal("docs/compatibility.md has no example")
	}
	got, err := prompt.Read(confFile(t, example))
	if err != nil || !got.TransformerBroker.UseSSL {
		t.Errorf("%+v, %v", got, err)
	}
}
