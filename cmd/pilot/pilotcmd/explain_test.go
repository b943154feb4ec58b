package pilotcmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
)

func TestExplainSaysWhatHappenedWhoseFaultItIsAndWhatNext(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for word, want := range map[string][]string{
		"35":        {"35 node_unfit", "a test of the node failed", "the site's", "yes: the same may", "pilot check", "1332"},
		"no_broker": {"40 no_broker", "the services'"},
		"0":         {"0 ok", "nobody's", "nothing"},
		"1305":      {"slice_failed", "payload_failed", "payload_crashed"},
		"137":       {"killed by SIGKILL (9): usually the batch system's memory or time limit"},
		"77":        {"none of tfpilot's"},
	} {
		status, stdout, stderr := command(t, "explain", word)
		for _, w := range want {
			if status != 0 || !strings.Contains(stdout, w) || stderr != "" {
				t.Errorf("%s: %d: %q is not in %s%s", word, status, w, stdout, stderr)
			}
		}
	}
}

func TestExplainHasTheWholeTableAndAllThreeFormats(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	_, stdout, _ := command(t, "explain")
	if lines := strings.Count(stdout, "\n"); lines != len(exitcode.Table())+1 {
		t.Errorf("%d lines for %d failures", lines, len(exitcode.Table()))
	}
	_, stdout, _ = command(t, "explain", "--output", "json")
	var all []struct {
		Code  int    `json:"code"`
		Name  string `json:"name"`
		Class string `json:"class"`
		Text  string `json:"text"`
	}
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all) != len(exitcode.Table()) || all[0].Name != "ok" || all[0].Class != "none" {
		t.Errorf("%v: %v", err, all)
	}
	for word, want := range map[string]string{"35": `"retryable": true`, "143": `"signal": "SIGTERM"`, "1303": `"name": "store_failed"`} {
		if status, stdout, stderr := command(t, "explain", word, "--output", "json"); status != 0 || !strings.Contains(stdout, want) || !json.Valid([]byte(stdout)) {
			t.Errorf("%s: %d: %s%s", word, status, stdout, stderr)
		}
	}
	if _, stdout, _ := command(t, "explain", "-o", "quiet", "1303"); stdout != "payload_bad_result\nstore_failed\n" {
		t.Error(stdout)
	}
}

func TestExplainRefusesWhatIsNoCode(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, args := range [][]string{{"frobnicated"}, {"-1x"}, {"256"}, {"-4"}, {"35", "36"}, {"35", "--output", "xml"}} {
		if status, stdout, stderr := command(t, append([]string{"explain"}, args...)...); status != 64 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %d: %s%s", args, status, stdout, stderr)
		}
	}
}
