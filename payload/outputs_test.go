package payload_test

import (
	"path"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

func TestOutputsAreFoundByTheRulesOfTheTOML(t *testing.T) {
	t.Parallel()
	rules := payloadfile.Spec{Output: payloadfile.OutputRules{Files: []string{"*.root", "sub/*.txt", "*"}, Required: []string{"tracks.root", "sub/*"}}}
	result, err := run(t, rules, ended{result: `{"outputs":[{"name":"./tracks.root"}]}`, files: []string{"tracks.root", "hits.root", "sub/a.txt"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range result.Outputs {
		names = append(names, path.Clean(o.Name))
		if o.SizeBytes == 0 || o.Adler32 == "" {
			t.Errorf("%+v was not measured", o)
		}
	}
	if got := strings.Join(names, " "); got != "tracks.root hits.root sub/a.txt" {
		t.Error(got)
	}
	_, err = run(t, rules, ended{result: `{}`, files: []string{"hits.root", "sub/a.txt"}})
	if exitcode.From(err) != exitcode.PayloadNoResult || !strings.Contains(err.Error(), `"tracks.root"`) {
		t.Error(err)
	}
}
