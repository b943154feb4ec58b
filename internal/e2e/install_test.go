package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tfpilot/internal/testkit"
)

func TestTheProgramsUnderstandTheFilesThatTheyAreInstalledWith(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(filepath.Join("..", "..", "docs", "systemd"))
	must(t, err)
	// There is no broker; what is examined before shows that the file was read, key by key.
	_, out, errs := tool(t, "idds", "doctor", "--config", filepath.Join(dir, "idds.toml"), "--state", t.TempDir(), "--broker-addr", testkit.Nobody(t))
	if !strings.Contains(out, `"epic"`) || !strings.Contains(out, "/etc/tfpilot/idds.pem") {
		t.Errorf("idds.toml: %s%s", out, errs)
	}
	if status, out, errs := tool(t, "harvester", "config", "show", "--config", filepath.Join(dir, "farm.toml")); status != 0 || !strings.Contains(out, "farm.toml") {
		t.Errorf("farm.toml: %d %s%s", status, out, errs)
	}
	units, err := filepath.Glob(filepath.Join(dir, "*.service"))
	must(t, err)
	if len(units) != 3 {
		t.Fatal(units)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		must(t, err)
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(\S+) (.*)$`).FindStringSubmatch(string(text))
		if start == nil {
			t.Errorf("%s starts nothing", unit)
			continue
		}
		args := append(strings.Fields(start[2]), "--help")
		if status, out, errs := tool(t, start[1], args...); status != 0 || !strings.Contains(out, "USAGE") {
			t.Errorf("%s: %d %s%s", unit, status, out, errs)
		}
	}
}
