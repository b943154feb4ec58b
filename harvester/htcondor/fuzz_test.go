package htcondor_test

import (
	"strings"
	"testing"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
)

func FuzzJobs(f *testing.F) {
	f.Add(read(f, "condor_q-23.9.6.json"))
	f.Add([]byte("[\n]\n"))
	f.Add([]byte(`[{"ClusterId": 1, "JobStatus": 3, "RemoveReason": "\/Expr(x)\/", "ExitBySignal": "true"}]`))
	f.Fuzz(func(t *testing.T, out []byte) {
		jobs, err := htcondor.ParseJobs(out)
		for _, j := range jobs {
			if err != nil {
				t.Fatalf("%v, and jobs", err)
			}
			if j.ID == "" || j.State == "" || j.Native == "" {
				t.Errorf("%+v", j)
			}
			if j.State == harvester.Unknown && j.Reason == "" {
				t.Errorf("unknown without a reason: %+v", j)
			}
		}
	})
}

func FuzzAnalysis(f *testing.F) {
	f.Add(read(f, "better-analyze-23.9.6-big.txt"))
	f.Add(read(f, "better-analyze-23.9.6-bigboth.txt"))
	f.Fuzz(func(t *testing.T, out []byte) {
		if htcondor.Analyze(out) == "" {
			t.Error("it says nothing")
		}
	})
}

func FuzzSelections(f *testing.F) {
	f.Add("12.0 12.1 12.5 7.3 alice -all 12 .. 1.-1 0.0")
	f.Fuzz(func(t *testing.T, text string) {
		ids := strings.Fields(text)
		expressions, n := htcondor.Selections(ids)
		expression := strings.Join(expressions, "")
		if n > len(ids) || (n == 0) != (expression == "") || strings.Trim(expression, "()ClusterIdPoc0123456789&|<>= ") != "" {
			t.Errorf("%q: %d, %s", text, n, expression)
		}
	})
}
