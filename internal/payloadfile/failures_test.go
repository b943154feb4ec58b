package payloadfile_test

import (
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

const command = "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n"

func TestAContradictionAboutFailuresNamesItsLine(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		`:5: failures.status.3: "no_broker" is none of payload_failed`:        "[failures]\nstatus = {3 = \"no_broker\"}\n",
		`:5: failures.status.4: "oops" is none of`:                            "[failures.status]\n4 = \"oops\"\n",
		`:4: failures.status.4: "oops" is none of`:                            "[failures.status]\n\"4\" = \"oops\"\n",
		`:5: failures.status.0: not an exit status that a failure can have`:   "[failures]\nstatus = {0 = \"data_corrupt\"}\n",
		`failures.status.256: not an exit status`:                             "[failures]\nstatus = {256 = \"data_corrupt\"}\n",
		`failures.status.03: not an exit status`:                              "[failures]\nstatus = {03 = \"data_corrupt\"}\n",
		`failures.status.x: not an exit status`:                               "[failures]\nstatus = {x = \"data_corrupt\"}\n",
		`:7: failures.stderr[1]: match: error parsing regexp: missing closin`: "[[failures.stderr]]\nmatch = \"a\"\nas = \"data_missing\"\n[[failures.stderr]]\nmatch = \"(\"\nas = \"data_missing\"\n",
		`:7: failures.stderr[1]: match = "a" is there already, as data_miss`:  "[[failures.stderr]]\nmatch = \"a\"\nas = \"data_missing\"\n[[failures.stderr]]\nmatch = \"a\"\nas = \"data_range\"\n",
		`:4: failures.stderr[0]: match is missing`:                            "[[failures.stderr]]\nas = \"data_missing\"\n",
		`:4: failures.stderr[0]: match = ".*" fits every program`:             "[[failures.stderr]]\nmatch = \".*\"\nas = \"data_missing\"\n",
		`:4: failures.stderr[0]: as: "" is none of`:                           "[[failures.stderr]]\nmatch = \"a\"\n",
		`:6: unknown key "failures.stderr.is"`:                                "[[failures.stderr]]\nmatch = \"a\"\nis = \"data_missing\"\n",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, command+text)
			if exitcode.From(err) != exitcode.Usage || err == nil || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		})
	}
}
