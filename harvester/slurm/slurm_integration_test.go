//go:build integration

package slurm_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/batchtest"
	"tfpilot/harvester/slurm"
)

// variables name the pools.
var variables = map[string]string{"slurm": "TFPILOT_TEST_SLURM", "slurm24": "TFPILOT_TEST_SLURM24"}

// pool is the folder of a pool for tests: that of slurm, or of slurm24.
func pool(t *testing.T, name string) string {
	t.Helper()
	variable := variables[name]
	dir := os.Getenv(variable)
	if dir == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s names no Slurm, and REQUIRE_SERVICES=1; `make test/integration` starts one", variable)
		}
		t.Skipf("%s names no Slurm; `scripts/services.sh up %s` starts one and prints it", variable, name)
	}
	return dir
}

// open makes a system on a pool.
func open(t *testing.T, dir string, change ...func(*slurm.Config)) *slurm.System {
	t.Helper()
	cfg := slurm.Config{Bin: filepath.Join(dir, "bin"), Warning: time.Minute, Jobs: t.TempDir(), Resources: harvester.Resources{Cores: 1, MemoryMB: 50}}
	for _, c := range change {
		c(&cfg)
	}
	s, err := slurm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// limit is long enough for a busy machine of two cores.
const limit = 2 * time.Minute

func TestIntegrationContract(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"slurm", "slurm24"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := pool(t, name)
			traits := batchtest.Traits{Limit: limit, WallTime: time.Minute, NoHistory: name == "slurm24"}
			batchtest.Run(t, traits, func(t *testing.T) harvester.BatchSystem {
				t.Helper()
				return open(t, dir)
			})
		})
	}
}
