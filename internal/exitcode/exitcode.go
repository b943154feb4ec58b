// Package exitcode is the one table of failures: what a program's exit status means, whose fault it was, and whether
// another attempt makes sense. Results, logs, worker reports and docs/exit-codes.md all speak from it.
//
// An error is given its place in the table where it arises ([New], [Wrap]) and asked for it where it matters ([From]).
package exitcode

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Class says whose fault a failure is.
type Class string

// The classes. Payload and data failures are of the slice and its program; the others are ours to mend and never count
// against a slice.
const (
	ClassNone           Class = "none"
	ClassPayload        Class = "payload"
	ClassData           Class = "data"
	ClassSite           Class = "site"
	ClassInfrastructure Class = "infrastructure"
	ClassCredential     Class = "credential"
	ClassConfiguration  Class = "configuration"
	ClassPreempted      Class = "preempted"
	ClassWalltime       Class = "walltime"
)

// Blameless reports that nobody is at fault: what ends so has ended as planned, or because its time was over.
func (c Class) Blameless() bool { return c == ClassNone || c == ClassPreempted || c == ClassWalltime }

// Failure is one line of the table.
type Failure struct {
	// Code is the exit status of a program that ends for this reason.
	Code int
	// PanDA is the nearest of the codes of the PanDA pilot, for sites that report to PanDA; 0 for what is no failure there.
	PanDA int
	// Name is the stable word in results and logs.
	Name  string
	Class Class
	// Retryable says that the same slice, or the same command, may succeed later or elsewhere.
	Retryable bool
	// Text says what happened; Next says what to do about it.
	Text, Next string
}

// The table. 64 is the EX_USAGE of sysexits(3); 2 is what the demo promises for a failed slice; the rest is ours. A payload's
// own exit status never becomes a pilot's.
var (
	OK          = Failure{0, 0, "ok", ClassNone, false, "all is well", ""}
	Internal    = Failure{1, 1319, "internal", ClassInfrastructure, true, "an error that has no place of its own in this table", "read the message; if it names no cause, report it with the log"}
	Usage       = Failure{64, 1349, "usage", ClassConfiguration, false, "a flag, argument or configuration value is wrong", "see --help of the command, or the line that is named"}
	SliceFailed = Failure{2, 1305, "slice_failed", ClassPayload, false, "the work was done to its end, but at least one slice failed", "`idds slices --state failed` lists them with their reasons"}
	CheckFailed = Failure{4, 1008, "check_failed", ClassInfrastructure, false, "something was examined and found wrong: the accounting of a run, the health of the service, a test", "what was printed says what, and of which slice"}

	PayloadFailed    = Failure{10, 1305, "payload_failed", ClassPayload, true, "the payload ended with an error that it did not call permanent", "its last lines are in the result; run it under `wrapper run`"}
	PayloadPermanent = Failure{11, 1305, "payload_permanent", ClassPayload, false, "the payload said that this slice will never succeed", "its last lines are in the result; run it under `wrapper run`"}
	PayloadCrashed   = Failure{12, 1305, "payload_crashed", ClassPayload, true, "the payload was ended by a signal that it did not get from us", "run it under `wrapper run` and look at its core"}
	PayloadTimeout   = Failure{13, 1367, "payload_timeout", ClassPayload, true, "the payload ran past its time limit", "raise timeout in its TOML or make the slices smaller"}
	PayloadNoResult  = Failure{14, 1165, "payload_no_result", ClassPayload, true, "the payload ended well but left no result", "write JSON to the file named by TFPILOT_RESULT"}
	PayloadBadResult = Failure{15, 1303, "payload_bad_result", ClassPayload, true, "the payload's result is not what docs/payloads.md says", "`wrapper run` names the key at fault"}
	PayloadLimit     = Failure{16, 1104, "payload_limit", ClassPayload, true, "the payload went past its limit on CPU time, disk, output or open files", "raise the limit in its TOML or mend the payload"}
	PayloadMemory    = Failure{17, 1235, "payload_memory", ClassPayload, true, "the payload took more memory than it may", "raise the limit in its TOML, ask for more memory in the queue, or mend the payload"}
	PayloadLooping   = Failure{18, 1150, "payload_looping", ClassPayload, true, "the payload did nothing at all for the time that its TOML allows", "run it under `wrapper run`; what it waits for is mostly in its last lines"}

	DataMissing     = Failure{20, 1331, "data_missing", ClassData, true, "the input file is not there", "check filename in the slice and the data directory"}
	DataCorrupt     = Failure{21, 1171, "data_corrupt", ClassData, true, "the input is damaged: a checksum or the file's structure is wrong", "compare the file's adler32 with the message; fetch it again"}
	DataRange       = Failure{22, 1099, "data_range", ClassData, false, "the frames asked for are not in the file", "compare start and end in the slice with `daq inspect`"}
	DataInvalid     = Failure{23, 1302, "data_invalid", ClassData, false, "the slice message cannot be worked on", "the producer is named in the log"}
	DataUnreachable = Failure{24, 1099, "data_unreachable", ClassInfrastructure, true, "the storage that has the input does not answer, or not as it should", "look at the storage named in the message"}

	SiteNoSpace   = Failure{30, 1098, "site_no_space", ClassSite, true, "no room, or no right, to write on this node", "free the disk or set --work-dir"}
	SiteNoProgram = Failure{31, 1211, "site_no_program", ClassSite, true, "the payload's program cannot be started on this node", "install it, or mend the command in the payload's TOML"}
	SiteResources = Failure{32, 1344, "site_resources", ClassSite, true, "the node is out of processes, files or memory", "lower --slots or look at the node"}
	SlotMemory    = Failure{33, 1212, "slot_memory", ClassSite, true, "the batch system ended the pilot because its slot was out of memory", "ask for more memory in the queue's configuration, or lower --slots"}
	NodeFailed    = Failure{34, 1008, "node_failed", ClassSite, true, "the node of the pilot failed or was lost", "nothing: what was not finished goes back to the queue; look at the node if it happens again"}
	NodeUnfit     = Failure{35, 1332, "node_unfit", ClassSite, true, "a test of the node failed", "`pilot check` on that node says which and why"}
	LaunchFailed  = Failure{36, 1110, "launch_failed", ClassSite, true, "the batch system could not start the pilot on the node", "the reason is in the worker's entry: `harvester workers show`"}
	SiteContainer = Failure{37, 1306, "site_no_container", ClassSite, true, "the payload's container cannot be started on this node", "the message has the runtime's own words; `pilot check --payload FILE` tries it on a node"}
	NoBroker      = Failure{40, 1318, "no_broker", ClassInfrastructure, true, "no broker could be reached", "check that it runs and that its address is right; `idds doctor` looks closer"}
	NoService     = Failure{41, 1324, "no_service", ClassInfrastructure, true, "idds could not be reached", "check that it runs and that its address is right"}
	BrokerRefused = Failure{42, 1240, "broker_refused", ClassConfiguration, false, "the broker refused the request", "its words are in the message"}
	StoreFailed   = Failure{43, 1303, "store_failed", ClassInfrastructure, true, "the state on disk could not be read or written", "check the state directory and its disk"}
	AddressTaken  = Failure{44, 1008, "address_taken", ClassConfiguration, false, "the address to listen on is taken or not ours", "choose another with --listen, or end who holds it"}
	StateLocked   = Failure{45, 1336, "state_locked", ClassConfiguration, false, "another process works on this state directory", "end it, or choose another --state"}
	ResultsHeld   = Failure{46, 1137, "results_held", ClassInfrastructure, true, "results could not be published; they are kept in the journal", "the next pilot on this node publishes them"}
	NoBatch       = Failure{47, 1324, "no_batch", ClassInfrastructure, true, "the batch system could not be asked", "its words are in the message; `harvester check` looks closer"}
	BatchRefused  = Failure{48, 1341, "batch_refused", ClassConfiguration, false, "the batch system refused the request", "its words are in the message; `harvester check` looks closer"}
	OutputFailed  = Failure{49, 1137, "output_failed", ClassInfrastructure, true, "an output could not be put to where it is kept", "the message says which, and why; look at --output-to, or dest_path of the slice"}
	NoCredential  = Failure{50, 1163, "no_credential", ClassCredential, false, "a token or password is missing, expired or refused", "the message names which one and where it is read from"}
	BadConfig     = Failure{51, 1341, "bad_config", ClassConfiguration, false, "the configuration is incomplete or contradictory", "the message names the option"}
	Expiring      = Failure{52, 1382, "credential_expiring", ClassCredential, true, "a credential of the pilot is about to expire", "renew it: the next pilot takes the new one"}
	StoreVersion  = Failure{53, 1341, "store_version", ClassConfiguration, false, "the state was written by another version of the program, which this one does not understand", "use the program that wrote it, or restore a backup of before into an empty one"}
	IdleTimeout   = Failure{55, 0, "idle_timeout", ClassNone, true, "no slice came for the idle time", "nothing: the slot is given back"}
	NoFirstSlice  = Failure{56, 0, "no_first_slice", ClassNone, true, "no slice came at all in the time for the first one", "nothing, unless slices are waiting: then compare --run and --namespace"}
	Walltime      = Failure{57, 1213, "walltime", ClassWalltime, true, "the slot's time is over", "nothing: what was not finished went back to the queue"}
	Preempted     = Failure{58, 1379, "preempted", ClassPreempted, true, "the batch system took the slot back", "nothing: what was not finished went back to the queue"}
	Interrupted   = Failure{59, 1201, "interrupted", ClassPreempted, true, "ended by a signal", "start it again if that was not meant"}
	Cancelled     = Failure{60, 1205, "cancelled", ClassPreempted, true, "removed from the batch system by somebody", "nothing: what was not finished went back to the queue"}
	Drained       = Failure{61, 0, "drained", ClassNone, true, "told to drain: it finished what it held and left", "nothing: the slot is given back"}
)

// Table is every failure in the order of its code.
func Table() []Failure {
	t := []Failure{
		OK, Internal, Usage, SliceFailed, CheckFailed, PayloadFailed, PayloadPermanent, PayloadCrashed, PayloadTimeout,
		PayloadNoResult, PayloadBadResult, PayloadLimit, PayloadMemory, PayloadLooping, DataMissing, DataCorrupt, DataRange, DataInvalid, DataUnreachable, SiteNoSpace,
		SiteNoProgram, SiteResources, SlotMemory, NodeFailed, NodeUnfit, LaunchFailed, SiteContainer, NoBroker, NoService, BrokerRefused, StoreFailed, AddressTaken, StateLocked, ResultsHeld,
		NoBatch, BatchRefused, OutputFailed, NoCredential, BadConfig, Expiring, StoreVersion, IdleTimeout, NoFirstSlice, Walltime, Preempted, Interrupted, Cancelled, Drained,
	}
	slices.SortStableFunc(t, func(a, b Failure) int { return a.Code - b.Code })
	return t
}

// ByCode finds the line of an exit status; ok is false for a status that is not ours.
func ByCode(code int) (f Failure, ok bool) {
	for _, f := range Table() {
		if f.Code == code {
			return f, true
		}
	}
	return Failure{}, false
}

// failed is an error with its line of the table.
type failed struct {
	failure Failure
	err     error
}

func (e *failed) Error() string { return e.err.Error() }
func (e *failed) Unwrap() error { return e.err }

// New makes an error of this failure. The text says what and where; %w wraps.
func New(f Failure, format string, args ...any) error {
	return &failed{f, fmt.Errorf(format, args...)}
}

// Wrap gives err its place in the table. It overrides a place given further down; nil stays nil.
func Wrap(f Failure, err error) error {
	if err == nil {
		return nil
	}
	return &failed{f, err}
}

// Place gives err its place in the table, unless it was given one further down; nil stays nil.
func Place(f Failure, err error) error {
	if _, placed := errors.AsType[*failed](err); placed {
		return err
	}
	return Wrap(f, err)
}

// hinted is an error with a next step of its own.
type hinted struct {
	err  error
	next string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// WithNext gives an error a next step that fits better than the one of its line in the table; nil stays nil.
func WithNext(err error, next string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, next}
}

// Next is what to do about an error: its own next step, or that of its line in the table.
func Next(err error) string {
	if e, ok := errors.AsType[*hinted](err); ok {
		return e.next
	}
	return From(err).Next
}

// From is the failure of an error: the outermost place it was given, Interrupted for a cancelled context, Internal
// otherwise, OK for nil.
func From(err error) Failure {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*failed](err); ok {
		return e.failure
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Internal
}
