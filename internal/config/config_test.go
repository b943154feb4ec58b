package config_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

type sample struct {
	Idle   time.Duration `toml:"test_idle" default:"2m" help:"leave after"`
	Slots  int           `toml:"test_slots" default:"1" help:"payloads at once"`
	Fast   bool          `toml:"test_fast" help:"hurry"`
	Names  []string      `toml:"test_names" help:"several"`
	Limit  time.Duration `toml:"test_limit" default:"10m" zero:"true" help:"0 is for ever"`
	Secret string        `toml:"test_secret" secret:"true" help:"token"`
	Broker struct {
		Addr string  `toml:"addr" default:"127.0.0.1:61613" help:"host:port"`
		Rate float64 `toml:"rate" default:"0.5" help:"per second"`
	} `toml:"test_broker"`
	Internal chan int
}

// load runs a command line through a Binding.
func load(t *testing.T, args ...string) (sample, *config.Binding, error) {
	t.Helper()
	var cfg sample
	b := config.Bind(&cfg)
	app := &cli.App{Name: "x", HideHelp: true, Flags: b.Flags(), Action: b.Load, Writer: io.Discard, ErrWriter: io.Discard}
	app.ExitErrHandler = func(*cli.Context, error) {}
	err := app.Run(append([]string{"x"}, args...))
	return cfg, b, err
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	f := file(t, "test_idle = \"10s\"\ntest_slots = 4\ntest_names = [\"a\", \"b\"]\n[test_broker]\naddr = \"file:1\"\nrate = 2\n")
	t.Setenv("TFPILOT_TEST_SLOTS", "8")
	t.Setenv("TFPILOT_TEST_BROKER_ADDR", "env:2")
	t.Setenv("TFPILOT_TEST_SECRET", "hush")
	cfg, b, err := load(t, "--config", f, "--test-broker-addr", "flag:3", "--test-fast")
	if err != nil {
		t.Fatal(err)
	}
	want := sample{Idle: 10 * time.Second, Slots: 8, Fast: true, Names: []string{"a", "b"}, Limit: 10 * time.Minute, Secret: "hush"}
	want.Broker.Addr, want.Broker.Rate = "flag:3", 2
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
	var out bytes.Buffer
	if err := b.Show(&out, "table"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"test_broker.addr", "flag --test-broker-addr", "environment TFPILOT_TEST_SLOTS", "file " + f} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not shown in\n%s", line, &out)
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Error("the secret is shown")
	}
}

func TestASecretHasNoFlag(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "--test-secret", "x")
	if err == nil {
		t.Error("--test-secret was taken")
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "test_slots = 1\ntest_slot = 2\n", `:2: unknown key "test_slot"`},
		{"unknown key in a table", "[test_broker]\nadr = \"x\"\n", `:2: unknown key "test_broker.adr"`},
		{"wrong type", "test_slots = \"many\"\n", ":1:14: test_slots is a text in quotes where a whole number is meant"},
		{"wrong type in a table", "[test_broker]\nrate = \"x\"\n", ":2:8: test_broker.rate is a text in quotes where a number is meant"},
		{"value for a table", "test_broker = 3\n", "test_broker is a whole number where a table is meant"},
		{"bare number for a duration", "test_idle = 5\n", `:1:13: test_idle is a whole number where a duration such as "90s"`},
		{"nothing where something is needed", "[test_broker]\naddr = \"\"\n", ":2: test_broker.addr: must not be empty (the default is 127.0.0.1:61613)"},
		{"negative", "\ntest_slots = -1\n", ":2: test_slots: -1 is negative"},
		{"broken", "test_slots = \n", ":1:"},
		{"bad duration", "test_idle = \"soon\"\n", `:1: test_idle: "soon" is no duration`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := file(t, c.text)
			_, _, err := load(t, "--config", f)
			if err == nil || !strings.Contains(err.Error(), f) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s...%s", err, f, c.want)
			}
			if got := exitcode.From(err); got != exitcode.Usage {
				t.Errorf("class %s", got.Name)
			}
		})
	}
}

func TestAFileMayBeThatOfALargerCommand(t *testing.T) {
	t.Parallel()
	var part struct {
		Slots int `toml:"test_slots" default:"1" help:"slots"`
	}
	b := config.Bind(&part).Of(&sample{})
	if err := b.LoadTOML("f.toml", []byte("test_slots = 3\ntest_idle = \"5s\"\n[test_broker]\naddr = \"a:1\"\n")); err != nil || part.Slots != 3 {
		t.Errorf("%+v, %v", part, err)
	}
	if err := b.LoadTOML("f.toml", []byte("test_slots = 3\ntest_slot = 3\n")); err == nil || !strings.Contains(err.Error(), `:2: unknown key "test_slot"`) {
		t.Errorf("%v", err)
	}
}

func TestZeroNeverStandsForTheDefault(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--test-slots: must be more than 0 (the default is 1)":  {"--test-slots", "0"},
		"--test-idle: must be more than 0 (the default is 2m)":  {"--test-idle", "0s"},
		"--test-broker-rate: -1 is negative":                    {"--test-broker-rate", "-1"},
		"--test-broker-addr: must not be empty (the default is": {"--test-broker-addr", ""},
	} {
		if _, _, err := load(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
}

func TestZeroMayMeanSomethingOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, "--test-limit", "0")
	if err != nil || cfg.Limit != 0 {
		t.Errorf("%s, %v", cfg.Limit, err)
	}
	if _, _, err = load(t, "--test-limit", "-1s"); err == nil {
		t.Error("a negative one was taken")
	}
}

func TestATextInAListFromAFileMayHoldACommaAndOneOnTheCommandLineMayNot(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, "--config", file(t, "test_names = [\"a,b\", \"c\"]\n"))
	if want := []string{"a,b", "c"}; err != nil || cmp.Diff(want, cfg.Names) != "" {
		t.Errorf("%q, %v", cfg.Names, err)
	}
	if cfg, _, err = load(t, "--test-names", "a,b"); err != nil || len(cfg.Names) != 2 {
		t.Errorf("%q, %v", cfg.Names, err)
	}
}

func TestPartsMayHaveFieldsOfOneNameUnderDifferentKeys(t *testing.T) {
	t.Parallel()
	type first struct {
		Node string `toml:"test_first"`
	}
	type second struct {
		Node int `toml:"test_second"`
	}
	var cfg struct {
		A first  `toml:",inline"`
		B second `toml:",inline"`
	}
	if err := config.Bind(&cfg).LoadTOML("x.toml", []byte("test_first = \"a\"\ntest_second = 2\n")); err != nil || cfg.A.Node != "a" || cfg.B.Node != 2 {
		t.Errorf("%+v, %v", cfg, err)
	}
	err := config.Bind(&cfg).LoadTOML("x.toml", []byte("test_first = \"a\"\ntest_second = \"b\"\n"))
	if err == nil || !strings.Contains(err.Error(), "x.toml:2:15: test_second is a text in quotes where a whole number is meant") {
		t.Errorf("%v", err)
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "--test-slots", "many", "--test-idle", "soon")
	if err == nil || !strings.Contains(err.Error(), "--test-slots") || !strings.Contains(err.Error(), "--test-idle") {
		t.Errorf("got %v", err)
	}
}

func TestDefaultsFillWhatIsZero(t *testing.T) {
	t.Parallel()
	cfg := sample{Slots: 3}
	config.Defaults(&cfg)
	if cfg.Slots != 3 || cfg.Idle != 2*time.Minute || cfg.Broker.Rate != 0.5 {
		t.Errorf("%+v", cfg)
	}
}
