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
	want := sample{Idle: 10 * time.Second, Slots: 8, Fast: true, Names: []string{"a", "b"}, Secret: "hush"}
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
		{"wrong type", "test_slots = \"many\"\n", ":1:"},
		{"broken", "test_slots = \n", ":1:"},
		{"bad duration", "test_idle = \"soon\"\n", `"soon" is no duration`},
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
