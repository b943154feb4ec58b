package htcondor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// constraint is an expression that holds of these jobs, short also for many: a submission's ids follow each other. n is how
// many of them are ids of HTCondor; nobody else's job is meant by the others.
func constraint(ids []string) (expression string, n int) {
	clusters := map[int][]int{}
	for _, id := range ids {
		if cluster, process, ok := parseID(id); ok {
			clusters[cluster] = append(clusters[cluster], process)
		}
	}
	var terms []string
	for _, cluster := range slices.Sorted(maps.Keys(clusters)) {
		processes := clusters[cluster]
		slices.Sort(processes)
		processes = slices.Compact(processes)
		n += len(processes)
		for len(processes) > 0 {
			k := 1
			for k < len(processes) && processes[k] == processes[0]+k {
				k++
			}
			terms = append(terms, fmt.Sprintf("(ClusterId == %d && ProcId >= %d && ProcId <= %d)", cluster, processes[0], processes[k-1]))
			processes = processes[k:]
		}
	}
	return "(" + strings.Join(terms, " || ") + ")", n
}

// parseID takes an id apart, cluster.process.
func parseID(id string) (cluster, process int, ok bool) {
	c, p, _ := strings.Cut(id, ".")
	cluster, err1 := strconv.Atoi(c)
	process, err2 := strconv.Atoi(p)
	return cluster, process, err1 == nil && err2 == nil && cluster > 0 && process >= 0
}
