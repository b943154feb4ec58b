// Package hist is the one histogram of tfpilot: filled by payloads, carried as JSON in results, merged by whoever sums up a
// run, drawn as text for a terminal and as SVG for a page. It links no ROOT; internal/rootfile turns [H1] into ROOT objects.
//
// Merging is exact: any partition of the same entries into histograms, merged in any order and grouping, gives the same
// bytes on the wire. Counts are whole numbers, and the sums behind mean and standard deviation are taken over values rounded
// to a grid on which float64 adds without error. That is what lets a result be compared with == to that of the whole file.
//
// Nothing here is safe for concurrent use; a histogram has one owner.
package hist
