package htcondor

import "tfpilot/harvester"

// What parses, for tests that feed it what no pool prints.

// ParseJobs is what Queue makes of an output.
func ParseJobs(out []byte) ([]harvester.Job, error) {
	ads, err := parseAds(out)
	jobs := make([]harvester.Job, len(ads))
	for i, a := range ads {
		jobs[i] = a.job()
	}
	return jobs, err
}

// Analyze is what is made of condor_q -better-analyze.
func Analyze(out []byte) string { return analyze(out).String() }

// Submitted is what Submit makes of an output.
func Submitted(out []byte, count int) ([]string, error) { return submitted(out, count) }

// Constraint is the expression for some jobs.
func Constraint(ids []string) (expression string, n int) { return constraint(ids) }
