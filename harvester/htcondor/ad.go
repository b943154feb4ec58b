package htcondor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// attributes are what is asked of every job.
const attributes = "ClusterId,ProcId,TfpilotTag,TfpilotIndex,TfpilotWallTime,JobStatus,LastJobStatus,NumShadowStarts,NumJobStarts," +
	"ExitBySignal,ExitSignal,ExitCode,RemoveReason,HoldReason,HoldReasonCode,HoldReasonSubCode,LastHoldReason,LastHoldReasonCode," +
	"VacateReason,VacateReasonCode,LastRejMatchReason,LastRejMatchTime,LastMatchTime,RemoteHost,LastRemoteHost," +
	"GridJobStatus,JobUniverse,QDate,JobStartDate,JobCurrentStartDate,JobCurrentStartExecutingDate,CompletionDate,EnteredCurrentStatus"

// ad is what HTCondor says of a job. What is not there, or an expression that it could not work out, is zero.
type ad struct {
	ClusterID  number `json:"ClusterId"`
	ProcID     number `json:"ProcId"`
	Tag        text   `json:"TfpilotTag"`
	Index      number `json:"TfpilotIndex"`
	WallTime   number `json:"TfpilotWallTime"`
	Status     number `json:"JobStatus"`
	LastStatus number `json:"LastJobStatus"`
	Shadows    number `json:"NumShadowStarts"`
	Starts     number `json:"NumJobStarts"`

	BySignal     truth  `json:"ExitBySignal"`
	Signal       number `json:"ExitSignal"`
	ExitCode     number `json:"ExitCode"`
	RemoveReason text   `json:"RemoveReason"`

	HoldReason     text   `json:"HoldReason"`
	HoldCode       number `json:"HoldReasonCode"`
	HoldSubCode    number `json:"HoldReasonSubCode"`
	LastHoldReason text   `json:"LastHoldReason"`
	LastHoldCode   number `json:"LastHoldReasonCode"`
	VacateReason   text   `json:"VacateReason"`
	VacateCode     number `json:"VacateReasonCode"`

	Rejected   text   `json:"LastRejMatchReason"`
	RejectedAt number `json:"LastRejMatchTime"`
	MatchedAt  number `json:"LastMatchTime"`

	RemoteHost     text `json:"RemoteHost"`
	LastRemoteHost text `json:"LastRemoteHost"`
	GridStatus     text `json:"GridJobStatus"`

	Universe number `json:"JobUniverse"`

	QueuedAt    number `json:"QDate"`
	StartedAt   number `json:"JobStartDate"`
	RestartedAt number `json:"JobCurrentStartDate"`
	ExecutingAt number `json:"JobCurrentStartExecutingDate"`
	CompletedAt number `json:"CompletionDate"`
	EnteredAt   number `json:"EnteredCurrentStatus"`

	why string // it waits, where that was found out
}

func (a ad) id() string { return fmt.Sprintf("%d.%d", a.ClusterID, a.ProcID) }

// number, text and truth take a value of their own kind, and nothing for anything else: an attribute may hold any expression.
type (
	number int64
	text   string
	truth  bool
)

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f < -1e15 || f > 1e15 {
		f = 0
	}
	*n = number(f)
	return nil
}

func (s *text) UnmarshalJSON(b []byte) error {
	var v string
	if json.Unmarshal(b, &v) != nil || strings.HasPrefix(v, "/Expr(") {
		v = ""
	}
	*s = text(strings.TrimSpace(v))
	return nil
}

func (t *truth) UnmarshalJSON(b []byte) error {
	*t = string(b) == "true"
	return nil
}

// parseAds reads what condor_q and condor_history print with -json. Nothing at all is an empty list: the exit status has said
// that they could ask.
func parseAds(out []byte) ([]ad, error) {
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, nil
	}
	var ads []ad
	if err := json.Unmarshal(out, &ads); err != nil {
		return nil, exitcode.New(exitcode.NoBatch, "reading what HTCondor says of its jobs: %w in %q", err, excerpt(out))
	}
	for _, a := range ads {
		if a.ClusterID <= 0 || a.Status <= 0 {
			return nil, exitcode.New(exitcode.NoBatch, "reading what HTCondor says of its jobs: one has no ClusterId or JobStatus: %q", excerpt(out))
		}
	}
	return ads, nil
}

func (a ad) job() harvester.Job {
	return harvester.Job{ID: a.id(), Tag: string(a.Tag), Index: int(a.Index), Status: a.status()}
}

// excerpt is the beginning of an output, for a message.
func excerpt(out []byte) string {
	const most = 200
	if len(out) > most {
		return string(out[:most]) + "..."
	}
	return string(bytes.TrimSpace(out))
}

func at(seconds number) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// node is the machine in the name of a slot, slot1_2@node.
func (a ad) node() string {
	slot := string(a.RemoteHost)
	if slot == "" {
		slot = string(a.LastRemoteHost)
	}
	if _, node, ok := strings.Cut(slot, "@"); ok {
		return node
	}
	return slot
}

// universeGrid is the JobUniverse of what goes through a CE.
const universeGrid = 9

func (a ad) grid() bool { return a.Universe == universeGrid }

// started is when it was started last.
func (a ad) started() number {
	for _, at := range []number{a.ExecutingAt, a.RestartedAt, a.StartedAt} {
		if at > 0 {
			return at
		}
	}
	if a.Status == statusRunning && a.grid() {
		return a.EnteredAt
	}
	return 0
}
