package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// The store needs room for its log too; below the second it may end any time.
const (
	scarce = 1 << 30
	none   = 64 << 20
)

// state looks at the folder: whether it is there and can be written to.
func (e *examination) state(context.Context) {
	const name = "state folder"
	dir := e.cfg.State
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.report.add(name, NotChecked, "", "%s is not there yet; idds serve makes it", dir)
	case err != nil:
		e.report.problem(name, exitcode.StoreFailed, "mend the path, or choose another --state", "%v", err)
	case !info.IsDir():
		e.report.problem(name, exitcode.StoreFailed, "choose another --state", "%s is no folder", dir)
	default:
		e.report.add(name, OK, "", "%s", dir)
	}
}

// disk looks at the room that the store has.
func (e *examination) disk(context.Context) {
	const name = "disk"
	dir := e.cfg.State
	for { // what is not there yet will be made beneath what is
		if _, err := os.Stat(dir); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		e.report.add(name, NotChecked, "", "asking for the room on %s: %v", dir, err)
		return
	}
	free := int64(s.Bavail) * s.Bsize
	switch {
	case free < none:
		e.report.problem(name, exitcode.StoreFailed, "free some, or move the state to another disk", "%s free where the state is", size(free))
	case free < scarce:
		e.report.add(name, Warning, "free some, or move the state to another disk", "only %s free where the state is", size(free))
	default:
		e.report.add(name, OK, "", "%s free where the state is", size(free))
	}
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	default:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
}

// store looks into the ledger's file.
func (e *examination) store(ctx context.Context) {
	const name = "store"
	facts, err := e.cfg.Store(ctx)
	switch {
	case errors.Is(err, ledger.ErrOlderSchema):
		e.report.add(name, Warning, exitcode.Next(err), "%v", err)
	case err != nil && ctx.Err() == nil:
		e.report.problem(name, exitcode.From(err), exitcode.Next(err), "%v", err)
	case facts == nil:
		e.report.add(name, NotChecked, "", "there is none yet in %s", e.cfg.State)
	default:
		e.facts = facts
		e.report.add(name, OK, "", "schema %d, %s, intact, can be written; %s, %s", facts.Schema, size(facts.Bytes), plural(facts.Runs, "run"), plural(facts.Slices, "slice"))
		for _, ns := range facts.Namespaces {
			if ns != e.cfg.Service.Namespace {
				e.report.add("namespace", Warning, "if they are the same experiment, start idds with the --namespace of before",
					"the store has runs of %q too, which an idds of %q does not follow", ns, e.cfg.Service.Namespace)
			}
		}
	}
}

const whereItAnswers = "give idds doctor the --address-file or --listen of the service, or its address as TFPILOT_IDDS"

// service looks whether one works on the state, and answers.
func (e *examination) service(ctx context.Context) {
	const name = "service"
	var err error
	e.live, err = e.cfg.Running(ctx)
	switch {
	case err != nil:
		e.report.add(name, NotChecked, "", "%v", err)
	case !e.live.Locked:
		e.report.add(name, OK, "", "none works on this state: idds serve can be started")
	case e.live.Addr == "":
		e.report.add(name, NotChecked, whereItAnswers, "one works on this state; where it answers is not known")
	case e.live.Err != nil && e.live.Assumed:
		e.report.add(name, Warning, whereItAnswers, "one works on this state, but not at %s, which was assumed: %v", e.live.Addr, e.live.Err)
	case e.live.Err != nil:
		next := "look at its log, and whether its --listen is this one"
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](e.live.Err); untrusted {
			next = exitcode.Next(e.live.Err) // it is there, and it is us who do not know its authority
		}
		e.report.problem(name, exitcode.NoService, next, "one works on this state, and %s does not answer: %v", e.live.Addr, e.live.Err)
	default:
		e.report.add(name, OK, "", "one works on this state and answers at %s", e.live.Addr)
	}
}

// actors reports who else does a duty of idds.
func (e *examination) actors(ctx context.Context) {
	const name = "second actor"
	list, err := e.cfg.Actors(ctx)
	switch {
	case err != nil:
		e.report.add(name, NotChecked, "", "%v", err)
	case len(list) == 0:
		e.report.add(name, OK, "", "nobody else was seen to do a duty of idds")
	default:
		options := map[string]string{
			"demand": "--demand-from workflow_task", "stop": "--stop-sender other", "retry": "--retry-owner other", "answer": "--demand-from run_imminent",
		}
		for _, a := range list {
			if a.Duty == string(ledger.DutyBooks) {
				e.report.add(name, Warning, "end one of the two, or give it a namespace, or a broker, of its own",
					"%.80q is another idds of this namespace: each has only part of the slices and results; seen first at %s, last at %s", a.Sender, since(a.FirstAt), since(a.LastAt))
				continue
			}
			e.report.add(name, Warning, fmt.Sprintf("end it, or give it the duty: %s", options[a.Duty]),
				"%.80q does the duty %s: %s, the first at %s, the last at %s for run %s",
				a.Sender, a.Duty, plural(a.Count, "message"), since(a.FirstAt), since(a.LastAt), a.RunID)
		}
	}
}
