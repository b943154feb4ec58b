package harvestercmd

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// testTag marks test jobs: no store has it as its own, so that a harvester that runs does not take them for its.
const testTag = harvester.TagPrefix + "check-"

// testJob runs `pilot version` through the batch system to its end.
func testJob(ctx context.Context, cfg site.Config, batch harvester.BatchSystem) harvester.Finding {
	text, err := runTestJob(ctx, cfg, batch)
	return finding("test job", text, err)
}

func runTestJob(ctx context.Context, cfg site.Config, batch harvester.BatchSystem) (string, error) {
	pilot, err := cfg.Submissions()
	if err != nil {
		return "", err
	}
	s := pilot("", "")
	if s.Dir, err = cfg.JobsFolder(); err != nil {
		return "", err
	}
	s.Tag, s.Count, s.Args = testTag+strings.ToLower(rand.Text()[:10]), 1, []string{"version"}
	began := time.Now()
	ids, err := batch.Submit(ctx, s)
	if err != nil {
		return "", err
	}
	st, err := awaitEnd(ctx, batch, ids[0])
	if err != nil {
		// Our own time is over; the job is not to stay behind.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
		defer cancel()
		return "", errors.Join(err, batch.Cancel(end, ids))
	}
	folder := filepath.Join(s.Dir, s.Tag+".0")
	if st.ExitCode != 0 {
		log, _ := harvester.LogTail(s.Dir, s.Tag+".0", 500) // if there is one
		return "", exitcode.WithNext(fmt.Errorf("job %s ended with exit code %d, signal %d on %q: %s %s", ids[0], st.ExitCode, st.Signal, st.Node, st.Reason, log),
			"look into "+folder)
	}
	printed, err := os.ReadFile(filepath.Join(folder, harvester.StdoutFile))
	if err != nil {
		return "", exitcode.WithNext(fmt.Errorf("job %s ended well, but what it printed is not here: %w", ids[0], err), "the state folder has to be seen by the nodes, or the batch system has to bring output back to it")
	}
	left, err := fs.Glob(os.DirFS(s.Dir), s.Tag+"*")
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.Dir, name)))
	}
	return fmt.Sprintf("job %s on %s printed %q; %s from its submission to its end", ids[0], cmp.Or(st.Node, "a node"),
		strings.TrimSpace(string(printed)), time.Since(began).Round(100*time.Millisecond)), err
}

// awaitEnd looks every second until a job has ended.
func awaitEnd(ctx context.Context, batch harvester.BatchSystem, id string) (harvester.Status, error) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var last harvester.Status
	for {
		jobs, err := batch.Queue(ctx)
		if err != nil {
			return last, err
		}
		listed := false
		for _, j := range jobs {
			if j.ID == id {
				last, listed = j.Status, true
			}
		}
		if !listed {
			past, err := batch.History(ctx, []string{id})
			if err != nil {
				return last, err
			}
			if st, ok := past[id]; ok {
				last = st
			}
		}
		if last.State == harvester.Ended {
			return last, nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return last, exitcode.WithNext(exitcode.New(exitcode.NoBatch, "job %s had not ended in time: %s %s", id, cmp.Or(last.State, "not listed"), last.Reason),
				"a full queue takes longer: --test-limit; a reason that is named has to be mended")
		}
	}
}
