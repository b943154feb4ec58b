package htcondor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// selection is an expression that holds of some jobs.
type selection struct {
	expression string
	jobs       int
}

// mostTerms is how long an expression may be: one argument of a command has room for 128 KB, and a term takes 80 bytes at most.
const mostTerms = 1000

// selections choose these jobs. Mostly it is one, short also for many: a submission's ids follow each other. What is no id of
// HTCondor is left out, so that nobody else's job is meant by it.
func selections(ids []string) []selection {
	clusters := map[int][]int{}
	for _, id := range ids {
		if cluster, process, ok := parseID(id); ok {
			clusters[cluster] = append(clusters[cluster], process)
		}
	}
	var found []selection
	var terms []string
	jobs := 0
	flush := func() {
		if jobs > 0 {
			found = append(found, selection{"(" + strings.Join(terms, " || ") + ")", jobs})
		}
		terms, jobs = nil, 0
	}
	for _, cluster := range slices.Sorted(maps.Keys(clusters)) {
		processes := clusters[cluster]
		slices.Sort(processes)
		processes = slices.Compact(processes)
		for len(processes) > 0 {
			k := 1
			for k < len(processes) && processes[k] == processes[0]+k {
				k++
			}
			terms = append(terms, fmt.Sprintf("(ClusterId == %d && ProcId >= %d && ProcId <= %d)", cluster, processes[0], processes[k-1]))
			jobs += k
			processes = processes[k:]
			if len(terms) == mostTerms {
				flush()
			}
		}
	}
	flush()
	return found
}

// parseID takes an id apart, cluster.process.
func parseID(id string) (cluster, process int, ok bool) {
	c, p, _ := strings.Cut(id, ".")
	cluster, err1 := strconv.Atoi(c)
	process, err2 := strconv.Atoi(p)
	return cluster, process, err1 == nil && err2 == nil && cluster > 0 && process >= 0
}
