package soak

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"

	"tfpilot/internal/exitcode"
)

// Report is soak.json as it stands.
type Report struct {
	Slices int `json:"slices"`
	Slots  int `json:"slots"`
	// Failed is how many slices ended so, Again how many results came for a slice that had one.
	Failed int   `json:"failed"`
	Again  int   `json:"results_again"`
	Rows   []Row `json:"rows"`
}

// Row is what was held after so many slices.
type Row struct {
	Slices  int     `json:"slices"`
	Seconds float64 `json:"seconds"`
	// Rate is slices per second since the row before.
	Rate        float64 `json:"per_second"`
	Pilot       Process `json:"pilot"`
	Broker      Process `json:"broker"`
	JournalKB   float64 `json:"journal_kb"`
	BrokerLogKB float64 `json:"broker_log_kb"`
}

// Process is what a process holds. Goroutines are with those of the Go runtime.
type Process struct {
	ResidentMB  float64 `json:"resident_mb"`
	Descriptors float64 `json:"descriptors"`
	Goroutines  float64 `json:"goroutines"`
}

// mean is the last sample with the means of all.
func mean(samples []Row) Row {
	var out Row
	n := float64(len(samples))
	for _, s := range samples {
		out.Slices, out.Seconds = s.Slices, s.Seconds
		for _, p := range []struct {
			sum *Process
			add Process
		}{{&out.Pilot, s.Pilot}, {&out.Broker, s.Broker}} {
			p.sum.ResidentMB += p.add.ResidentMB / n
			p.sum.Descriptors += p.add.Descriptors / n
			p.sum.Goroutines += p.add.Goroutines / n
		}
		out.JournalKB += s.JournalKB / n
		out.BrokerLogKB += s.BrokerLogKB / n
	}
	return out
}

// What may differ between the first row and the last: memory by a tenth; counts by a few, because they move; files by what a
// segment of them may hold. Memory and files are judged once the broker's caches and first segments are full.
const (
	memoryMay = 1.1
	countMay  = 4
	aheadMay  = 140 // goroutines of slices that a pilot holds ahead, or not: at most 64, each with one that takes it and one that runs it
	fileMayKB = 20 << 10
	fullAfter = 200_000 // slices
)

// problems is what is not flat, or not once.
func (r Report) problems() (out []string) {
	if r.Failed > 0 || r.Again > 0 {
		out = append(out, fmt.Sprintf("%d slices failed, %d results came again", r.Failed, r.Again))
	}
	if len(r.Rows) < 2 {
		return append(out, "too few samples")
	}
	first, last := r.Rows[0], r.Rows[len(r.Rows)-1]
	for _, p := range []struct {
		name          string
		first, last   Process
		goroutinesMay float64
	}{{"pilot", first.Pilot, last.Pilot, aheadMay}, {"broker", first.Broker, last.Broker, countMay}} {
		if r.Slices >= fullAfter && p.last.ResidentMB > memoryMay*p.first.ResidentMB {
			out = append(out, fmt.Sprintf("the %s holds %.1f MB, %.1f after the first tenth", p.name, p.last.ResidentMB, p.first.ResidentMB))
		}
		if p.last.Descriptors > p.first.Descriptors+countMay {
			out = append(out, fmt.Sprintf("the %s holds %.0f descriptors, %.0f after the first tenth", p.name, p.last.Descriptors, p.first.Descriptors))
		}
		if p.last.Goroutines > p.first.Goroutines+p.goroutinesMay {
			out = append(out, fmt.Sprintf("the %s has %.0f goroutines, %.0f after the first tenth", p.name, p.last.Goroutines, p.first.Goroutines))
		}
	}
	for _, f := range []struct {
		name        string
		first, last float64
	}{{"journal", first.JournalKB, last.JournalKB}, {"broker's log", first.BrokerLogKB, last.BrokerLogKB}} {
		if r.Slices >= fullAfter && f.last > f.first+fileMayKB {
			out = append(out, fmt.Sprintf("the %s holds %.0f kB, %.0f after the first tenth", f.name, f.last, f.first))
		}
	}
	return out
}

// Verdict is nil only if every slice is done once and nothing has grown.
func (r Report) Verdict() error {
	if problems := r.problems(); len(problems) > 0 {
		return exitcode.WithNext(exitcode.New(exitcode.CheckFailed, "%s", strings.Join(problems, "; ")), "the table says since when")
	}
	return nil
}

// Write puts soak.json into dir.
func (r Report) Write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, "soak.json"), append(b, '\n'), 0o644); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the report: %w", err)
	}
	return nil
}

// Print shows the report to a person.
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "SLICES\tSECONDS\tPER SECOND\tPILOT MB\tFILES\tGOROUTINES\tJOURNAL kB\tBROKER MB\tFILES\tGOROUTINES\tLOG kB")
	for _, row := range r.Rows {
		fmt.Fprintf(tw, "%d\t%.0f\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\n", row.Slices, row.Seconds, row.Rate,
			row.Pilot.ResidentMB, row.Pilot.Descriptors, row.Pilot.Goroutines, row.JournalKB,
			row.Broker.ResidentMB, row.Broker.Descriptors, row.Broker.Goroutines, row.BrokerLogKB)
	}
	return tw.Flush()
}
