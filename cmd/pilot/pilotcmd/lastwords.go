package pilotcmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"tfpilot/internal/document"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/version"
	"tfpilot/pilot"
)

// stillborn is the report of a pilot that has not begun.
func stillborn(cfg runConfig) document.WorkerReport {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	now := time.Now().UTC()
	return document.WorkerReport{
		PilotID: cmp.Or(cfg.Pilot.ID, pilot.NewID(host)), Namespace: cfg.Pilot.Namespace, RunID: cfg.Pilot.Run, Phase: document.WorkerEnded, At: now, StartedAt: now,
		Hostname: host, PID: os.Getpid(), Version: version.String(), Slots: max(int(cfg.Pilot.Slots), 0),
		// A configuration that was not read has no batch id, and whoever looks for the reason knows nothing else.
		BatchSystem: cmp.Or(cfg.Pilot.BatchSystem, os.Getenv("TFPILOT_BATCH_SYSTEM")), BatchID: cmp.Or(cfg.Pilot.BatchID, os.Getenv("TFPILOT_BATCH_ID")),
		WorkerID: cmp.Or(cfg.Pilot.WorkerID, os.Getenv("TFPILOT_WORKER_ID")), Site: cmp.Or(cfg.Pilot.Site, os.Getenv("TFPILOT_SITE")),
		InHand: []document.SliceInHand{},
	}
}

// tell reports the end of a pilot that has not begun to idds, which would otherwise never hear of it.
func tell(ctx context.Context, idds heartbeat.Reporter, w document.WorkerReport, err error) {
	if idds == nil {
		return
	}
	w.Exit = heartbeat.LastWord(err, w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = idds.Report(ctx, w) // if it cannot be reached, that is probably the very reason
}

// sayLast prints the last words: one line of JSON for the harvester, which reads the pilot's output, or one for people.
func sayLast(out io.Writer, w document.WorkerReport, err error) {
	w.Phase = document.WorkerEnded
	// The end of the link and of the journal may have had a word after the pilot's own.
	if word := heartbeat.LastWord(err, w); w.Exit == nil || err != nil {
		w.Exit = word
	}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		fmt.Fprintln(out, sentence(w))
		return
	}
	line, merr := json.Marshal(w)
	if merr != nil {
		return // no field of it can fail
	}
	_, _ = fmt.Fprintf(out, "%s\n", line)
}

// sentence is the last words for people.
func sentence(w document.WorkerReport) string {
	t := w.Totals
	parts := []string{fmt.Sprintf("%d done, %d failed, %d given back in %s", t.Done, t.Failed, t.Released,
		time.Duration(w.Exit.WallSeconds*float64(time.Second)).Round(100*time.Millisecond))}
	if w.Exit.Efficiency != nil {
		parts = append(parts, fmt.Sprintf("payloads used %.0f %% of %d cores", 100**w.Exit.Efficiency, w.Slot.Cores))
	}
	if t.PeakMemoryBytes > 0 {
		parts = append(parts, fmt.Sprintf("the largest took %d MB", t.PeakMemoryBytes>>20))
	}
	return fmt.Sprintf("pilot left (%s): %s", w.Exit.Name, strings.Join(parts, "; "))
}
