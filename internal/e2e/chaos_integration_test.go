//go:build integration

package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"tfpilot/internal/testbed/chaos"
)

// A short one: `testbed chaos --broker` has all faults, docs/chaos.md the table of all of them on this broker.
func TestIntegrationArtemisChaosAccountsForEverySlice(t *testing.T) {
	t.Parallel()
	p := artemis(t)
	passcode := filepath.Join(t.TempDir(), "passcode")
	must(t, os.WriteFile(passcode, []byte(p.passcode), 0o600))
	faults := []string{"none", "kill-pilot", "reset-links", "half-open-down", "junk"}
	report, err := chaos.Run(t.Context(), chaos.Config{
		Out: filepath.Join(t.TempDir(), "chaos"), Slices: 100, Faults: faults, Broker: p.addr, Login: p.login, PasscodeFile: passcode,
	}, bin(t), io.Discard)
	if err != nil {
		t.Error(err)
	}
	if !report.BrokerAbsorbs || len(report.Rows) != len(faults) {
		t.Errorf("%+v", report)
	}
	for i, row := range report.Rows {
		if row.LeftOut != "" || i > 0 && row.Times == 0 || row.Done != 100 || row.Copies != 0 {
			t.Errorf("%+v", row)
		}
	}
}
