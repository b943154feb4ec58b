package prompt

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/logging"
	"tfpilot/internal/version"
)

// sayEvery is how often a pilot in a job says that it lives. A job that writes nothing for two hours is killed as looping, and
// whoever looks at its log should not have to guess for more than ten minutes.
const sayEvery = 5 * time.Minute

// Reporter is a pilot's reporter in a PanDA job: it says in the log that the pilot lives, and keeps the last report for the job's.
type Reporter struct {
	next heartbeat.Reporter
	log  *slog.Logger

	mu   sync.Mutex
	last document.WorkerReport
	said time.Time
}

var _ heartbeat.Reporter = (*Reporter)(nil)

// NewReporter makes one that hands reports on to next, if that is not nil.
func NewReporter(next heartbeat.Reporter, log *slog.Logger) *Reporter {
	return &Reporter{next: next, log: log}
}

// Report keeps the report, says now and then what stands in it, and hands it on.
func (r *Reporter) Report(ctx context.Context, w document.WorkerReport) (document.WorkerReply, error) {
	r.mu.Lock()
	r.last = w
	now := time.Now()
	say := now.Sub(r.said) >= sayEvery
	if say {
		r.said = now
	}
	r.mu.Unlock()
	if say {
		r.log.InfoContext(ctx, "pilot lives", slog.String(logging.KeyRun, w.RunID), slog.String("phase", string(w.Phase)),
			slog.Bool("connected", w.LinkProven), slog.Int("in_hand", len(w.InHand)), slog.Int("done", w.Totals.Done), slog.Int("failed", w.Totals.Failed))
	}
	if r.next == nil {
		return document.WorkerReply{}, nil
	}
	return r.next.Report(ctx, w)
}

// Last is the last report, zero when there was none.
func (r *Reporter) Last() document.WorkerReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// JobReport is jobReport.json, which PanDA keeps as the job's metadata.
type JobReport struct {
	Program   string                  `json:"program"`
	Version   string                  `json:"version"`
	PandaID   string                  `json:"panda_id,omitempty"`
	TaskID    string                  `json:"panda_task_id,omitempty"`
	RunID     string                  `json:"run_id"`
	Namespace string                  `json:"namespace"`
	PilotID   string                  `json:"pilot_id"` // empty when there was no pilot yet
	Slots     int                     `json:"slots"`
	StartedAt time.Time               `json:"started_at"`
	EndedAt   time.Time               `json:"ended_at"`
	Slices    document.WorkerTotals   `json:"slices"`
	Exit      document.WorkerLastWord `json:"exit"`
}

// NewJobReport says what a pilot did that began at started and ends with err, as exit status code.
func NewJobReport(w document.WorkerReport, started time.Time, err error, code int) JobReport {
	f := exitcode.From(err)
	r := JobReport{
		Program: "tfpilot", Version: version.String(), PandaID: os.Getenv("PANDAID"), TaskID: os.Getenv("PanDA_TaskID"),
		RunID: w.RunID, Namespace: w.Namespace, PilotID: w.PilotID, Slots: w.Slots, StartedAt: started.UTC(), EndedAt: time.Now().UTC(),
		Slices: w.Totals, Exit: document.WorkerLastWord{Code: code, Name: f.Name, Class: string(f.Class)},
	}
	if w.Exit != nil {
		r.Exit.Cause = logging.Redact(w.Exit.Cause)
	}
	if err != nil {
		r.Exit.Cause = logging.Redact(err.Error())
	}
	return r
}

// Write writes jobReport.json into the job's folder; it is never there in part.
func (r JobReport) Write(folder string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return exitcode.New(exitcode.Internal, "encoding jobReport.json: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(folder, "jobReport.json"), append(b, '\n'), 0o644); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "writing jobReport.json: %w", err)
	}
	return nil
}
