package exitcode_test

import (
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

func TestAnExitStatusIsSaidInWords(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		0: "ok: all is well", 35: "node_unfit: ", 59: "interrupted: ended by a signal",
		126: "could not start", 127: "no such program", 3: "none of tfpilot's", 255: "none of tfpilot's",
		137: "killed by SIGKILL (9): usually the batch system's memory or time limit",
		143: "killed by SIGTERM (15): usually ", 139: "SIGSEGV", 152: "SIGXCPU (24)", 192: "killed by signal 64",
	} {
		if got := exitcode.StatusWords(status); !strings.Contains(got, want) {
			t.Errorf("%d: %q, want %q in it", status, got, want)
		}
	}
	if got := exitcode.SignalName(9) + exitcode.SignalName(99); got != "SIGKILLsignal 99" {
		t.Error(got)
	}
}

func TestALineOfTheTableIsFoundByNumberNameAndPanDACode(t *testing.T) {
	t.Parallel()
	for word, want := range map[string][]string{
		"35": {"node_unfit"}, "node_unfit": {"node_unfit"}, "NODE_UNFIT": {"node_unfit"}, "1332": {"node_unfit"},
		"1305": {"slice_failed", "payload_failed", "payload_permanent", "payload_crashed"},
		"0":    {"ok"}, "3": nil, "": nil, "nonsense": nil,
	} {
		var got []string
		for _, f := range exitcode.Find(word) {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", word, got, want)
		}
	}
}

// panda are the codes of the PanDA pilot that the table uses, as its errorcodes.py (3.x) has them.
var panda = map[int]string{
	1008: "GENERALERROR", 1098: "NOLOCALSPACE", 1099: "STAGEINFAILED", 1104: "USERDIRTOOLARGE", 1110: "SETUPFAILURE", 1137: "STAGEOUTFAILED", 1150: "LOOPINGJOB",
	1163: "NOPROXY", 1165: "MISSINGOUTPUTFILE", 1171: "GETADMISMATCH", 1201: "SIGTERM", 1205: "USERKILL", 1211: "MISSINGINSTALLATION",
	1212: "PAYLOADOUTOFMEMORY", 1213: "REACHEDMAXTIME", 1235: "PAYLOADEXCEEDMAXMEM", 1240: "MESSAGEHANDLINGFAILURE", 1302: "CONVERSIONFAILURE",
	1303: "FILEHANDLINGFAILURE", 1305: "PAYLOADEXECUTIONFAILURE", 1306: "SINGULARITYGENERALFAILURE", 1318: "COMMUNICATIONFAILURE", 1319: "INTERNALPILOTPROBLEM",
	1324: "SERVICENOTAVAILABLE", 1331: "MISSINGINPUTFILE", 1332: "BLACKHOLE", 1336: "JOBALREADYRUNNING", 1341: "BADQUEUECONFIGURATION",
	1344: "RESOURCEUNAVAILABLE", 1349: "UNRECOGNIZEDTRFARGUMENTS", 1367: "COMMANDTIMEDOUT", 1379: "PREEMPTION", 1382: "PROXYTOOSHORT",
}

func TestEveryFailureHasACodeThatPanDAKnows(t *testing.T) {
	t.Parallel()
	used := map[int]bool{}
	for _, f := range exitcode.Table() {
		used[f.PanDA] = true
		if (f.Class == exitcode.ClassNone) != (f.PanDA == 0) {
			t.Errorf("%s of class %s has code %d of PanDA", f.Name, f.Class, f.PanDA)
		}
		if f.PanDA != 0 && panda[f.PanDA] == "" {
			t.Errorf("%s: PanDA has no code %d", f.Name, f.PanDA)
		}
	}
	for code, name := range panda {
		if !used[code] {
			t.Errorf("%d (%s) stands for nothing", code, name)
		}
	}
}
