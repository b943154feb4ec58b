package report

import (
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// Report is everything about one run. Its JSON is a promise to scripts.
type Report struct {
	Verdict string           `json:"verdict"` // done or failed
	Failure *message.Failure `json:"failure,omitempty"`
	// Advice is what to do about the failure; Next what a pilot would have done now.
	Advice  string                  `json:"advice,omitempty"`
	Next    string                  `json:"next"`
	Payload message.PayloadIdentity `json:"payload"`
	Slice   message.Slice           `json:"slice"`

	// Input is how a file on remote storage was made ready; absent for others.
	Input *message.ResultInput `json:"input,omitempty"`

	// StartupSeconds is how long a payload that stays took to be ready. It is no part of the slice's time.
	StartupSeconds float64 `json:"startup_seconds,omitempty"`
	// Seconds is the whole slice, Timeline its steps one after another, the start-up before them. The process' own times follow,
	// absent when the payload started none.
	Seconds  float64  `json:"seconds"`
	Timeline []Step   `json:"timeline,omitempty"`
	Process  *Process `json:"process,omitempty"`
	// Curve is how memory and time of processors went.
	Curve []Point `json:"curve,omitempty"`

	Counts     map[string]int64     `json:"counts,omitempty"`
	Histograms hist.Set             `json:"histograms,omitempty"`
	Outputs    []message.OutputFile `json:"outputs,omitempty"`
	Warnings   []string             `json:"warnings,omitempty"`
	// Folder is the slice's, when it was kept.
	Folder string `json:"folder,omitempty"`
	// Logs are compressed files with more of the streams; LogProblem says why there are none, or not all.
	Logs       []string `json:"logs,omitempty"`
	LogProblem string   `json:"log_problem,omitempty"`
	// Containment held the processes together; ContainmentReason says why it was nothing stronger.
	Containment       string `json:"containment,omitempty"`
	ContainmentReason string `json:"containment_reason,omitempty"`
	// Container is the runtime and the image that they ran in; empty when they ran on the machine as it is.
	Container string `json:"container,omitempty"`
	// Stdout and Stderr are the head and the tail of each, with a line between that says how much is missing.
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// Step is a part of a slice's time.
type Step struct {
	Name         string  `json:"name"`
	StartSeconds float64 `json:"start_seconds"`
	Seconds      float64 `json:"seconds"`
}

// Process is what the payload's processes took and how they ended.
type Process struct {
	WallSeconds   float64 `json:"wall_seconds"`
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	// PeakBytes is the most memory that all processes held together, MaxRSSBytes what the largest of them did.
	PeakBytes   int64 `json:"peak_bytes"`
	MaxRSSBytes int64 `json:"max_rss_bytes"`
	// ReadBytes and WrittenBytes went through system calls that read and write.
	ReadBytes    int64 `json:"read_bytes"`
	WrittenBytes int64 `json:"written_bytes"`
	// Processes is how many were seen at once, at most.
	Processes int    `json:"processes"`
	ExitCode  int    `json:"exit_code"`
	Signal    string `json:"signal,omitempty"`
	// LeftBehind counts processes that were still there when the program had ended, and were killed.
	LeftBehind int `json:"left_behind"`
}

// Point is a look at the processes, some time after the payload got the slice.
type Point struct {
	Seconds    float64 `json:"seconds"`
	Bytes      int64   `json:"bytes"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Processes  int     `json:"processes"`
}

// New makes the report of a slice, and of the start-up before it.
func New(s message.Slice, start payload.Startup, o wrapper.Outcome) Report {
	u := o.Result.Usage
	r := Report{
		StartupSeconds: start.Took.Seconds(),
		Verdict:        message.StateDone, Failure: o.Failure(), Next: Next(exitcode.From(o.Err), s.Content.AttemptNumber()), Payload: o.Payload, Slice: s,
		Seconds: o.Ended.Sub(o.Started).Seconds(), Timeline: timeline(start, o), Input: o.Input.Message(),
		Counts: o.Result.Counts, Histograms: o.Result.Histograms, Outputs: o.Outputs(), Warnings: o.Result.Warnings,
		Folder: o.Dir, Logs: o.Logs, Stdout: u.Stdout, Stderr: u.Stderr,
	}
	if o.LogErr != nil {
		r.LogProblem = o.LogErr.Error()
	}
	if o.Err != nil {
		r.Verdict, r.Advice = message.StateFailed, exitcode.Next(o.Err)
	}
	if u.Wall > 0 {
		r.Process = &Process{
			WallSeconds: u.Wall.Seconds(), UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
			PeakBytes: u.PeakBytes, MaxRSSBytes: u.MaxRSSBytes, ReadBytes: u.ReadBytes, WrittenBytes: u.WrittenBytes,
			Processes: u.Processes, ExitCode: u.ExitCode, Signal: u.Signal, LeftBehind: u.LeftBehind,
		}
	}
	for _, p := range o.Samples {
		r.Curve = append(r.Curve, Point{p.At.Sub(o.Handed).Seconds(), p.Bytes, p.CPU.Seconds(), p.Processes})
	}
	return r
}

// NotReady makes the report of a payload that stays and did not become ready for the slice.
func NotReady(s message.Slice, identity message.PayloadIdentity, start payload.Startup, err error) Report {
	f := exitcode.From(err)
	return Report{
		Verdict: message.StateFailed, Payload: identity, Slice: s, StartupSeconds: start.Took.Seconds(), Logs: start.Logs,
		Failure: &message.Failure{Code: f.Code, Name: f.Name, Class: string(f.Class), Retryable: f.Retryable, Message: err.Error()},
		Advice:  exitcode.Next(err), Next: "a pilot takes no slice in this slot, and starts the payload again, later each time",
	}
}

// stepPayload is the step in which the payload has the slice.
const stepPayload = "payload"

// timeline is where the time of a slice went.
func timeline(start payload.Startup, o wrapper.Outcome) []Step {
	if o.Handed.IsZero() {
		return nil
	}
	var steps []Step
	var at time.Duration // since the begin of all
	add := func(name string, took time.Duration) {
		steps = append(steps, Step{name, at.Seconds(), max(0, took).Seconds()})
		at += max(0, took)
	}
	if start.Took > 0 {
		add("start-up", start.Took)
	}
	var fetched time.Duration
	if o.Input.Message() != nil {
		fetched = o.Input.Took
	}
	add("prepare", o.Handed.Sub(o.Started)-fetched)
	if fetched > 0 {
		add("input", fetched)
	}
	u := o.Result.Usage
	worked := o.Returned.Sub(o.Handed)
	if u.Startup > 0 { // another time, for this slice
		add("restart", u.Startup)
		worked -= u.Startup
	}
	if u.Wall > 0 && u.Wall <= worked {
		add(stepPayload, u.Wall)
		add("check", worked-u.Wall)
	} else {
		add(stepPayload, worked)
	}
	if o.Delivery.Took > 0 {
		add("outputs", o.Delivery.Took)
	}
	add("clean up", o.Ended.Sub(o.Returned)-o.Delivery.Took)
	return steps
}
