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

// Selections are the expressions for some jobs, and how many jobs all are for.
func Selections(ids []string) (expressions []string, jobs int) {
	for _, s := range selections(ids) {
		expressions, jobs = append(expressions, s.expression), jobs+s.jobs
	}
	return expressions, jobs
}
