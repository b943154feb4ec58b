//go:build integration

package htcondor_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/batchtest"
	"tfpilot/harvester/htcondor"
)

// pool is the folder of the pool for tests.
func pool(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TFPILOT_TEST_CONDOR")
	if dir == "" {
		if os.Getenv("REQUIRE_SERVICES") != "" {
			t.Fatal("TFPILOT_TEST_CONDOR names no HTCondor pool, and REQUIRE_SERVICES is set")
		}
		t.Skip("no HTCondor pool; `scripts/services.sh up condor` starts one and prints TFPILOT_TEST_CONDOR=...")
	}
	return dir
}

// open makes a system on the pool.
func open(t *testing.T, change ...func(*htcondor.Config)) *htcondor.System {
	t.Helper()
	cfg := htcondor.Config{
		Bin: filepath.Join(pool(t), "bin"), HoldTime: time.Second, KeepTime: 2 * time.Second, Lease: 20 * time.Second, Jobs: t.TempDir(),
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := htcondor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// limit is long enough for a busy machine of two cores.
const limit = 2 * time.Minute

func TestIntegrationContract(t *testing.T) {
	t.Parallel()
	traits := batchtest.Traits{Limit: limit, WallTime: 3 * time.Second}
	for name, transfer := range map[string]bool{"shared folder": false, "transferred": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batchtest.Run(t, traits, func(t *testing.T) harvester.BatchSystem {
				t.Helper()
				return open(t, func(c *htcondor.Config) { c.Transfer = transfer })
			})
		})
	}
}
