// Package metrics says in Prometheus' words how an idds and its workers are.
//
// Nothing is asked of the store when somebody scrapes: [Metrics.Hear] is told of every committed transaction and keeps some numbers of
// each run and worker, so that a scrape costs the same at a million slices, and works while the store is away. What the ledger
// counts (slices, results) goes on over a restart; what is counted here (latencies, failed attempts, requests) begins anew, as
// Prometheus expects of a counter.
//
// Sets of labels are bounded: sites, states, classes and names of failures, operations, and the runs that are not closed. What others
// may write is cut, and what is one too many is "other". No slice, pilot or token is a label.
package metrics
