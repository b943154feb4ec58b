package harvestercmd_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// siteFile writes a site's configuration.
func siteFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "site.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// shown is the configuration as `config show` has it.
func shown(ctx context.Context, t *testing.T, args ...string) map[string]string {
	t.Helper()
	status, stdout, stderr := command(ctx, append([]string{"config", "show", "--output", "json"}, args...)...)
	var rows []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || status != 0 {
		t.Fatalf("%v: %d, %v: %s%s", args, status, err, stdout, stderr)
	}
	values := map[string]string{}
	for _, r := range rows {
		values[r.Key] = r.Value
	}
	return values
}

func TestTheExamplesOfSitesAreConfigurations(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	files, err := filepath.Glob("../../../docs/sites/*.toml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if v := shown(t.Context(), t, "--config", f); v["name"] == v["system"] {
			t.Errorf("%s has no name", f)
		}
	}
}

func TestMistakesOfASiteNameTheirPlace(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, c := range []struct{ text, want string }{
		{"sistem = \"local\"\n", `:1: unknown key "sistem"`},
		{"\n[pilot]\npaht = \"x\"\n", `:3: unknown key "pilot.paht"`},
		{"[slrum]\npartition = \"x\"\n", `unknown key "slrum`},
		{"[resources]\ncores = \"many\"\n", ":2:9: resources.cores is a text in quotes where a whole number is meant"},
		{"system = \"pbs\"\n", `system "pbs" is none of `},
		{"[pilot]\nenv = [\"A\"]\n", `pilot.env: "A" is not NAME=value`},
		{"[pilot]\nenv = [\"A-B=1\"]\n", `pilot.env: "A-B=1" is not NAME=value`},
		{"[pilot]\nenv = [\"A=1\\n2\"]\n", `pilot.env: "A=1\n2" is not NAME=value`},
		{"[resources]\nwall_time = 7\n", "a duration such as"},
		{"name = \n", ":1:"},
		{"name = \"a\\nb\"\n", `name "a\nb" is not of one line`},
		{"[pilot]\nslots = \"few\"\n", `:2: pilot.slots: "few" is neither auto nor a number from 1`},
	} {
		for _, args := range [][]string{{"config", "show"}, {"run"}, {"workers"}} {
			status, stdout, stderr := command(t.Context(), append(args, "--config", siteFile(t, c.text))...)
			if status != 64 || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("%v: %d, want %s, got %s%s", args, status, c.want, stdout, stderr)
			}
		}
	}
}

func TestWhatDependsOnTheSystemIsFilledIn(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	v := shown(t.Context(), t, "--config", siteFile(t, "[resources]\ncores = 0\n[pilot]\nslots = \"auto\"\n"))
	for key, want := range map[string]string{"name": "local", "system": "local", "interval": "1s", "resources.cores": "0", "pilot.slots": "auto", "resources.wall_time": "4h0m0s"} {
		if v[key] != want {
			t.Errorf("%s is %q, want %q", key, v[key], want)
		}
	}
}
