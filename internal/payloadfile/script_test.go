package payloadfile_test

import (
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

func TestWhatAMessageSaysIsNoPartOfAProgram(t *testing.T) {
	t.Parallel()
	for command, refused := range map[string]bool{
		`["sh", "-c", "cat ${TFPILOT_INPUT}"]`:                         true,
		`["/bin/bash", "-euc", "cat '${TFPILOT_TF_FILENAME}'"]`:        true,
		`["bash", "-e", "-c", "echo ${TFPILOT_RUN_ID}"]`:               true,
		`["env", "A=1", "dash", "-c", "echo ${TFPILOT_REQ_ID}"]`:       true,
		`["timeout", "9", "python3.11", "-c", "${TFPILOT_NAMESPACE}"]`: true,
		`["perl", "-ne", "print ${TFPILOT_INPUT}"]`:                    true,
		`["sh", "-c", "cat \"$TFPILOT_INPUT\""]`:                       false,
		`["sh", "-c", "${TFPILOT_PAYLOAD_DIR}/run ${TFPILOT_FIRST}"]`:  false,
		`["sh", "-c", "cat \"$1\"", "sh", "${TFPILOT_INPUT}"]`:         false,
		`["bash", "${TFPILOT_INPUT}"]`:                                 false,
		`["reco", "-c", "${TFPILOT_INPUT}"]`:                           false,
		`["python3", "-u", "x.py", "-c", "${TFPILOT_INPUT}"]`:          false,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, "name = \"x\"\nkind = \"command\"\ncommand = "+command+"\n")
			if (err != nil) != refused {
				t.Fatalf("%v", err)
			}
			if refused && (exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), ":3: command: ${TFPILOT_") || !strings.Contains(err.Error(), "run what a message says")) {
				t.Error(err)
			}
		})
	}
}
