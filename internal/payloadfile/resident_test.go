package payloadfile_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
)

func TestAFileOfAPayloadThatStaysSaysHowItIsKept(t *testing.T) {
	t.Parallel()
	const stays = "name = \"x\"\nkind = \"resident\"\n"
	spec, _, err := load(t, stays+"command = [\"x\", \"${TFPILOT_PAYLOAD_DIR}/a\", \"${TFPILOT_SLOT}\"]\n[resident]\nkeepalive = \"30s\"\nrecycle_slices = 9\n")
	if r := spec.Resident; err != nil || r.StartupTimeout != 2*time.Minute || r.Keepalive != 30*time.Second || r.RecycleSlices != 9 || !spec.Stays() {
		t.Errorf("%+v, %v", spec, err)
	}
	for want, text := range map[string]string{
		`kind resident needs command`:                  stays,
		`${TFPILOT_INPUT} is not known when`:           stays + "command = [\"x\", \"${TFPILOT_INPUT}\"]\n",
		`:3: command: ${TFPILOT_SLOT is never closed`:  stays + "command = [\"x\", \"${TFPILOT_SLOT\"]\n",
		`the program "${TFPILOT_SLOT}" cannot be`:      stays + "command = [\"${TFPILOT_SLOT}\"]\n",
		`env.A: ${TFPILOT_REQ_ID} is not known when`:   stays + "command = [\"x\"]\n[env]\nA = \"${TFPILOT_REQ_ID}\"\n",
		`:5: resident.keepalive = 30 has no unit`:      stays + "command = [\"x\"]\n[resident]\nkeepalive = 30\n",
		`resident.recycle_slices = -1: must be`:        stays + "command = [\"x\"]\n[resident]\nrecycle_slices = -1\n",
		`resident.recycle_mb = 9 is never reached`:     stays + "command = [\"x\"]\nmemory_mb = 9\n[resident]\nrecycle_mb = 9\n",
		`:5: unknown key "resident.keep_alive"`:        stays + "command = [\"x\"]\n[resident]\nkeep_alive = \"1s\"\n",
		`:4: [resident] is for kind resident, not for`: "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n[resident]\nrecycle_mb = 9\n",
	} {
		if _, _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) || exitcode.From(err) != exitcode.Usage {
			t.Errorf("want %s: %v", want, err)
		}
	}
}
