package testbed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
)

// Report is what became of a run: report.json as it stands.
type Report struct {
	RunID  string       `json:"run_id"`
	STFs   int          `json:"stfs"`
	Slices ReportSlices `json:"slices"`
	Events int64        `json:"events"`
	Tracks int64        `json:"tracks"`
	// Counts are all that the payload counted, events and tracks among them.
	Counts map[string]int64 `json:"counts"`
	// LatencyS is in seconds: slice created -> its result, and STF file written -> all its results.
	LatencyS document.RunLatency `json:"latency_s"`
	Pilots   []ReportPilot       `json:"pilots"`
	// Seconds is the whole demo, from the start of the first program to the last result.
	Seconds float64 `json:"seconds"`
	// Failures are the reasons of the failed slices, the most frequent first.
	Failures []ReportFailure `json:"failures"`
	// Problems are what idds found wrong with the accounting; empty when all is well.
	Problems []string `json:"problems"`

	Histograms []hist.H1 `json:"-"`
	// Page is the address of the control-room page.
	Page string `json:"-"`
}

// ReportSlices is the accounting: published = done + failed + lost, and + unfinished when the run was not over.
type ReportSlices struct {
	Published  int `json:"published"`
	Done       int `json:"done"`
	Failed     int `json:"failed"`
	Retried    int `json:"retried"`
	Duplicates int `json:"duplicates"`
	Lost       int `json:"lost"`
	// Unfinished are those of a run that was not over when the report was made: nobody knows yet what becomes of them.
	Unfinished int `json:"unfinished,omitempty"`
}

// ReportPilot is one pilot's row. Busy is the share of its life that its slots spent on payloads, 0 to 1.
type ReportPilot struct {
	ID      string  `json:"id"`
	BatchID string  `json:"batch_id"`
	Slots   int     `json:"slots"`
	Done    int     `json:"done"`
	Failed  int     `json:"failed"`
	Wall    float64 `json:"wall_seconds"`
	CPU     float64 `json:"cpu_seconds"`
	Busy    float64 `json:"busy"`
	// Startups are of payloads that stay, StartupSeconds how long they took together.
	Startups       int     `json:"startups,omitempty"`
	StartupSeconds float64 `json:"startup_seconds,omitempty"`
	End            string  `json:"end"`
}

// ReportFailure is one reason with the number of slices that failed for it; Slice is one of them.
type ReportFailure struct {
	Slices  int    `json:"slices"`
	Name    string `json:"name"`
	Class   string `json:"class"`
	Message string `json:"message"`
	Slice   string `json:"slice"`
}

// failures counts the reasons of failed slices.
func failures(failed []document.Slice) []ReportFailure {
	out := []ReportFailure{}
	for _, s := range failed {
		f := ReportFailure{Slices: 1, Name: "unknown", Message: "the worker gave no reason", Slice: s.TFFilename + " " + strconv.FormatInt(s.SliceID, 10)}
		if s.Failure != nil {
			f.Name, f.Class, f.Message = s.Failure.Name, s.Failure.Class, s.Failure.Message
		}
		same := slices.IndexFunc(out, func(o ReportFailure) bool { return o.Name == f.Name && o.Message == f.Message })
		if same < 0 {
			out = append(out, f)
		} else {
			out[same].Slices++
		}
	}
	slices.SortStableFunc(out, func(a, b ReportFailure) int { return b.Slices - a.Slices })
	return out
}

// NewReport puts together what idds knows of a run.
func NewReport(check document.RunCheck, stfs int, workers []document.Worker, histograms []hist.H1, took time.Duration) Report {
	s := check.Slices
	r := Report{
		RunID: check.RunID, STFs: stfs, Events: check.Counts["events"], Tracks: check.Counts["tracks"], Counts: check.Counts,
		Slices: ReportSlices{
			Published: s.Published, Done: s.Done, Failed: s.Failed, Retried: s.Retried,
			Duplicates: s.Absorbed, Lost: s.Published - s.Done - s.Failed,
		},
		LatencyS: check.Latency, Seconds: took.Seconds(), Problems: check.Problems, Histograms: histograms,
		Pilots: []ReportPilot{}, Failures: []ReportFailure{},
	}
	if check.State == document.RunOpen || check.State == document.RunEnding {
		r.Slices.Lost, r.Slices.Unfinished = 0, r.Slices.Lost
	}
	for _, w := range workers {
		p := ReportPilot{
			ID: w.PilotID, BatchID: w.BatchID, Slots: w.Slots, Done: w.Totals.Done, Failed: w.Totals.Failed,
			Wall: w.Totals.WallSeconds, CPU: w.Totals.CPUSeconds, Startups: w.Totals.Startups, StartupSeconds: w.Totals.StartupSeconds,
			End: "no last word: the counts are of its last report",
		}
		if life := w.LastSeen.Sub(w.StartedAt).Seconds() * float64(max(1, w.Slots)); life > 0 {
			p.Busy = min(1, w.Totals.WallSeconds/life)
		}
		if w.Exit != nil {
			p.End = w.Exit.Cause
		}
		r.Pilots = append(r.Pilots, p)
	}
	slices.SortFunc(r.Pilots, func(a, b ReportPilot) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

// Verdict is nil only if every published slice is done. A failed slice is [exitcode.SliceFailed]; anything lost or
// unaccounted for is [exitcode.CheckFailed].
func (r Report) Verdict() error {
	switch {
	case r.Slices.Published == 0:
		return exitcode.New(exitcode.CheckFailed, "no slice was published")
	case r.Slices.Lost != 0 || len(r.Problems) > 0:
		return exitcode.New(exitcode.CheckFailed, "%d slices lost; %s", r.Slices.Lost, strings.Join(r.Problems, "; "))
	case r.Slices.Unfinished != 0:
		return exitcode.New(exitcode.CheckFailed, "%d slices unfinished", r.Slices.Unfinished)
	case r.Slices.Failed > 0:
		return exitcode.WithNext(exitcode.New(exitcode.SliceFailed, "%d of %d slices failed", r.Slices.Failed, r.Slices.Published), r.advice())
	}
	return nil
}

// advice is the next step about failed slices: that of the commonest reason, when it stands in the table.
func (r Report) advice() string {
	for _, f := range exitcode.Table() {
		if len(r.Failures) > 0 && f.Name == r.Failures[0].Name {
			return f.Next
		}
	}
	return "the report says why"
}

// Write puts report.json, report.html and histograms.root into dir.
func (r Report) Write(dir string) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	page, err := r.page()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"report.json": buf.Bytes(), "report.html": page} {
		if err := renameio.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return exitcode.New(exitcode.StoreFailed, "writing the report: %w", err)
		}
	}
	if len(r.Histograms) == 0 {
		return nil
	}
	list := make([]*hist.H1, len(r.Histograms))
	for i := range r.Histograms {
		list[i] = &r.Histograms[i]
	}
	root := filepath.Join(dir, "histograms.root")
	if err := rootfile.WriteHistograms(root+".tmp", list); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the histograms: %w", err)
	}
	return os.Rename(root+".tmp", root)
}

// Print shows the report to a person.
func (r Report) Print(w io.Writer) error {
	s, l := r.Slices, r.LatencyS
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "\nrun %s\t%d STFs, %d events, %d tracks in %.1f s\n", r.RunID, r.STFs, r.Events, r.Tracks, r.Seconds)
	var more []string
	for _, name := range slices.Sorted(maps.Keys(r.further())) {
		more = append(more, fmt.Sprintf("%s %d", name, r.Counts[name]))
	}
	if len(more) > 0 {
		fmt.Fprintf(tw, "counted\t%s\n", strings.Join(more, ", "))
	}
	fmt.Fprintf(tw, "slices\tpublished %d = done %d + failed %d + lost %d\n", s.Published, s.Done, s.Failed, s.Lost)
	if s.Unfinished > 0 {
		fmt.Fprintf(tw, "\t+ unfinished %d: the run was not over\n", s.Unfinished)
	}
	fmt.Fprintf(tw, "\tretried %d, results absorbed as duplicates %d\n", s.Retried, s.Duplicates)
	fmt.Fprintf(tw, "slice -> result\t%s\n", latency(l.SliceResult))
	fmt.Fprintf(tw, "STF -> all results\t%s\n", latency(l.STFComplete))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(tw, "PILOT\tSLOTS\tDONE\tFAILED\tWALL s\tCPU s\tBUSY\tEND")
	for _, p := range r.Pilots {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.0f %%\t%s\n", p.ID, p.Slots, p.Done, p.Failed, p.Wall, p.CPU, 100*p.Busy, p.End)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if n, took := r.starts(); n > 0 {
		if _, err := fmt.Fprintf(w, "payloads started    %d, in %.1f s together; no other time counts that\n", n, took); err != nil {
			return err
		}
	}
	if len(r.Failures) > 0 {
		fmt.Fprintln(tw, "\nFAILED\tREASON\tFOR EXAMPLE\tIN WORDS")
	}
	for _, f := range r.Failures {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\n", f.Slices, f.Name, f.Slice, strings.Join(strings.Fields(f.Message), " "))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, p := range r.Problems {
		if _, err := fmt.Fprintln(w, "problem: "+p); err != nil {
			return err
		}
	}
	return nil
}

// starts are those of payloads that stay, with the time that they took together.
func (r Report) starts() (n int, took float64) {
	for _, p := range r.Pilots {
		n, took = n+p.Startups, took+p.StartupSeconds
	}
	return n, took
}

// further are the counts that are the payload's own, such as those against the truth.
func (r Report) further() map[string]int64 {
	out := maps.Clone(r.Counts)
	for _, known := range []string{"frames", "events", "tracks"} {
		delete(out, known)
	}
	if r.Events > 0 { // where hits are all that is counted, they are worth a line
		delete(out, "hits")
	}
	return out
}

// latency shows quantiles, or that there are none.
func latency(q document.Quantiles) string {
	if q.N == 0 {
		return "- (no result)"
	}
	return fmt.Sprintf("median %.2f s, p95 %.2f s, max %.2f s", q.P50, q.P95, q.Max)
}
