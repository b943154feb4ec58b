package pilotcmd

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/program"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
	"tfpilot/pilot/slotinfo"
)

// run is `pilot run`. It returns the last report, also of a pilot that has not come to life.
func run(c *cli.Context, cfg runConfig) (document.WorkerReport, error) {
	warnings, err := listen(cfg.Warnings)
	if err != nil {
		return stillborn(cfg), err
	}
	defer warnings.stop()
	log, err := program.Logger(c, "pilot")
	if err != nil {
		return stillborn(cfg), err
	}
	tests, end, err := beginTests(c.Context, cfg)
	if err != nil {
		return stillborn(cfg), err
	}
	defer end()
	client, err := newClient(&cfg)
	if err != nil {
		return stillborn(cfg), err
	}
	teller := newTeller(&cfg, client)
	log = teller.Logger(log)
	defer teller.Start(c.Context, nil)()
	var reporter heartbeat.Reporter
	if client != nil {
		reporter = client
	}
	slot, err := newSlot(&cfg)
	if err != nil {
		return stillborn(cfg), err
	}
	// From here on it is known where the pilot would have been.
	last, d := stillborn(cfg), slot.Document()
	last.Slot = &d
	limit := cfg.fitInto(slot.KillTime(), log)
	// Before idds is asked: what is wrong here is wrong without it.
	work, err := newWrapper(&cfg, slot, log)
	var brokers metainfo.PromptBroker
	if err == nil {
		defer closePayload(c.Context, work, cfg.maxGrace)
		brokers, err = brokerConfig(c.Context, cfg, client)
	}
	if err == nil {
		err = contain(c.Context, work, slot, log)
	}
	if err != nil {
		tell(c.Context, reporter, last, err)
		return last, err
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	err = within(ctx, limit, func() error {
		w, err := hold(ctx, cfg, brokers, pilot.Parts{
			Runner: work, Node: tests, Reporter: reporter, Logger: log, Place: slot, Drain: drains(ctx, cfg.DrainFile, warnings, slot),
		})
		if w.PilotID != "" {
			last = w
		}
		return err
	})
	return last, err
}

// newSlot looks at the slot, and takes from there who we are where nobody has said so.
func newSlot(cfg *runConfig) (*slotinfo.Slot, error) {
	slot, err := slotinfo.New(slotinfo.ThisMachine(), cfg.Place)
	if err == nil && cfg.Pilot.BatchSystem == "" {
		cfg.Pilot.BatchSystem = slot.System()
	}
	if err == nil && cfg.Pilot.BatchID == "" {
		cfg.Pilot.BatchID = slot.ID()
	}
	return slot, err
}

// fitInto shortens the patience with payloads to what the batch system leaves between SIGTERM and SIGKILL, and returns after how
// long, from SIGTERM, the pilot gives up whatever still holds it: 0 for never. A part is kept for giving back what is not finished.
func (cfg *runConfig) fitInto(kill time.Duration, log *slog.Logger) (limit time.Duration) {
	if kill <= 0 {
		return 0
	}
	margin := min(max(kill/5, time.Second), 3*time.Second)
	patience := max(kill-margin, 0)
	cfg.maxGrace = max(patience/2, time.Millisecond) // 0 would be no bound at all
	drain := min(cfg.Pilot.DrainTime, patience-patience/2)
	if drain < cfg.Pilot.DrainTime {
		log.Info("payloads have less time after SIGTERM: the batch system kills", slog.Duration("after", kill), slog.Duration("drain_time", drain))
	}
	cfg.Pilot.DrainTime = drain
	return kill - margin/2
}

// hold adds link and journal to the parts of a pilot, and runs it until it leaves. It returns its last report.
func hold(ctx context.Context, cfg runConfig, brokers metainfo.PromptBroker, parts pilot.Parts) (document.WorkerReport, error) {
	if os.Getenv("GOMAXPROCS") == "" {
		// A pilot mostly waits, and the cores are the payloads'. On one thread its own work costs a quarter less.
		runtime.GOMAXPROCS(1)
	}
	conf, err := linkConfig(cfg, brokers, parts.Logger)
	if err != nil {
		return document.WorkerReport{}, err
	}
	link, err := broker.New(conf)
	if err != nil {
		return document.WorkerReport{}, err
	}
	j := &lateJournal{}
	parts.Link, parts.Journal = link, j
	parts.Open = func() (err error) {
		j.Journal, err = journal.Open(journalDir(cfg), cfg.Fsync, parts.Logger, formerJournalDirs(cfg)...)
		return err
	}
	p, err := pilot.New(parts, pilot.Destinations{
		Slices: brokers.TransformerBroker.Destination, Broadcast: brokers.TransformerBroadcastBroker.Destination,
		Results: brokers.ResultBroker.Destination,
	}, cfg.Pilot)
	if err != nil {
		return document.WorkerReport{}, err
	}
	// The link outlives the pilot, which gives back what it holds at its end.
	linkCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	linkDone := make(chan struct{})
	go func() { defer close(linkDone); _ = link.Run(linkCtx) }()
	err = p.Run(ctx)
	hangUp()
	<-linkDone
	w := p.Report()
	if j.Journal == nil { // the node was never found fit
		return w, err
	}
	if n := j.Held(); n > 0 && err == nil {
		err = exitcode.New(exitcode.ResultsHeld, "results that the broker did not take: %d; they are in the journal in %s", n, journalDir(cfg))
	}
	w.Totals.Held = j.Held()
	if cerr := j.Close(); err == nil && cerr != nil {
		err = exitcode.Wrap(exitcode.StoreFailed, cerr)
	}
	return w, err
}

// lateJournal is opened once the node has been found fit, before the first slice: on one that is not, it might hang.
type lateJournal struct{ *journal.Journal }

// within runs fn, but after a signal waits no longer for it than limit; for ever when that is 0.
func within(ctx context.Context, limit time.Duration, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	if limit == 0 {
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return exitcode.New(exitcode.Interrupted, "ended by a signal, with the broker not answering: %w", context.Cause(ctx))
	}
}
