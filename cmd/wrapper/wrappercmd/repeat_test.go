package wrappercmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
)

func TestRepeatShowsWhatOneRunDoesNot(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `case $TFPILOT_REQ_ID in *.3) echo bad luck >&2; exit 3;; esac
		echo '{"counts":{"n":'$(echo $TFPILOT_REQ_ID | sed 's/.*\.//')'}}' >"$TFPILOT_RESULT"`)
	work := t.TempDir()
	o := wrapperRun(t, "", "--payload", mine, "--work-dir", work, "--repeat", "6", "--slots", "2", "--input", "x")
	o.mustSay(t, exitcode.SliceFailed.Code, "6 slices in 2 slots", "done            5       83.3 %", "payload_failed  1       16.7 %  mine ended with status 3: bad luck",
		"payload's own", "left     0 processes, 0 files", "differ in 1 parts", "count n: 1 in 1; 2 in 1; 4 in 1; 5 in 1; 1 more")
	if left, err := filepath.Glob(filepath.Join(work, "tfpilot-repeat-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestRepeatFindsWhatIsLeftBehind(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	mine := payloadFile(t, `echo x >"$TFPILOT_PAYLOAD_DIR/cache"; sleep 300 & echo '{}' >"$TFPILOT_RESULT"`)
	o := wrapperRun(t, "", "--payload", mine, "--repeat", "3", "--input", "x", "--output", "json")
	var doc struct {
		LeftBehind int      `json:"processes_left"`
		Files      []string `json:"files_left"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil || o.code != 0 || doc.LeftBehind != 3 || len(doc.Files) != 1 || filepath.Base(doc.Files[0]) != "cache" {
		t.Errorf("%d, %v: %s", o.code, err, o.stdout)
	}
}

func TestRepeatEndsWithWhatThereIs(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	begun := filepath.Join(t.TempDir(), "begun")
	mine := payloadFile(t, `case $TFPILOT_REQ_ID in *.2) echo x >'`+begun+`'; sleep 300;; esac; echo '{}' >"$TFPILOT_RESULT"`)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			if _, err := os.Stat(begun); err == nil {
				cancel(errors.New("interrupt signal received"))
			}
		}
	}()
	wrapperRunUntil(ctx, t, "", "--payload", mine, "--repeat", "1000", "--input", "x").mustSay(t, exitcode.Interrupted.Code,
		"1 slices in 1 slots", "ended after 1 of 1000 slices: interrupt signal received")
}

func TestRepeatRefusesWhatMakesNoSense(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	wrapperRun(t, "", "--repeat", "0", "--input", "x").mustSay(t, exitcode.Usage.Code, "--repeat 0, --slots 1: both are at least 1")
	wrapperRun(t, "", "--repeat", "3", "--keep", "--input", "x").mustSay(t, exitcode.Usage.Code, "--keep leaves the folder of one slice")
}
