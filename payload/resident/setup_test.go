package resident_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
	"tfpilot/payload/resident"
)

// TestMain makes the test binary a payload when one starts it.
func TestMain(m *testing.M) {
	if os.Getenv("TFPILOT_CONTRACT") != "" {
		serve(os.Args[1:])
		os.Exit(0) //nolint:forbidigo // in a process of its own
	}
	goleak.VerifyTestMain(m)
}

// self tells one process from another: in namespaces they have the same ids.
var self = time.Now().UnixNano()

// asked is a request as a payload sees it.
type asked struct {
	ReqID string `json:"req_id"`
	Input string `json:"input"`
	Dir   string `json:"dir"`
}

// serve is a payload that does as the name of the input says, or at its start as its argument says.
func serve(args []string) {
	how := ""
	if len(args) > 0 {
		how = args[0]
	}
	startUp(how)
	say(`{"ready": true, "seconds": 0.1}`)
	if how == "dies-idle" {
		return
	}
	in := bufio.NewReader(os.Stdin)
	for n := 1; ; n++ {
		text, err := in.ReadString('\n')
		if err != nil {
			if how == "stays" {
				signal.Ignore(syscall.SIGTERM)
				forever()
			}
			return
		}
		var r asked
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "working on %s\n", r.ReqID)
		do(filepath.Base(r.Input), r, n)
	}
}

func startUp(how string) {
	switch how {
	case "exits":
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3) //nolint:forbidigo // a payload's own end
	case "refuses":
		say(`{"ready": false, "status": 30, "message": "no room for the geometry"}`)
		forever()
	case "mute":
		forever()
	case "banner":
		say("Welcome to Payload 1.0")
		forever()
	}
}

// do works on a slice, the nth of this process.
func do(what string, r asked, n int) {
	good := fmt.Sprintf(`{"req_id": %q, "status": 0, "message": "fine", "result": {"counts": {"process": %d, "nth": %d}}}`, r.ReqID, self, n)
	switch what {
	case "fails":
		say(fmt.Sprintf(`{"req_id": %q, "status": 11, "message": "never\nof this kind"}`, r.ReqID))
	case "names-it":
		say(fmt.Sprintf(`{"req_id": %q, "status": 1, "message": "never", "failure": {"name": "data_corrupt", "message": "frame 7"}}`, r.ReqID))
	case "no-result":
		say(fmt.Sprintf(`{"req_id": %q, "status": 0}`, r.ReqID))
	case "bad-result":
		say(fmt.Sprintf(`{"req_id": %q, "status": 0, "result": {"cuonts": {}}}`, r.ReqID))
	case "crashes":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		forever()
	case "crashes-once":
		mark := filepath.Join(filepath.Dir(r.Dir), "crashed")
		if _, err := os.Stat(mark); err != nil {
			_ = os.WriteFile(mark, nil, 0o600)
			_ = os.WriteFile(filepath.Join(r.Dir, "half"), []byte("x"), 0o600)
			os.Exit(1) //nolint:forbidigo // a payload's own end
		}
		left, _ := os.ReadDir(r.Dir)
		say(fmt.Sprintf(`{"req_id": %q, "status": 0, "result": {"counts": {"left": %d}}}`, r.ReqID, len(left)))
	case "floods":
		_, _ = io.Copy(os.Stderr, io.LimitReader(zeros{}, 1<<20))
		say(good)
	case "ends":
		os.Exit(0) //nolint:forbidigo // a payload's own end
	case "says-11":
		fmt.Fprintln(os.Stderr, "of no use")
		os.Exit(11) //nolint:forbidigo // a payload's own end
	case "hangs":
		signal.Ignore(syscall.SIGTERM)
		forever()
	case "alive":
		for range 8 {
			pause(50 * time.Millisecond)
			say(`{"alive": true, "progress": 0.5}`)
		}
		say(good)
	case "garbage":
		say("Segment 7 of 9")
		say(good)
	case "half":
		_, _ = os.Stdout.WriteString(`{"req_id": `)
		os.Exit(0) //nolint:forbidigo // a payload's own end
	case "endless":
		for block := strings.Repeat("x", 1<<20); ; {
			_, _ = os.Stdout.WriteString(block)
		}
	case "twice":
		say(good)
		say(good)
	case "other":
		say(strings.Replace(good, r.ReqID, "another", 1))
	case "other-once":
		if n > 1 {
			say(strings.Replace(good, r.ReqID, "another", 1))
		} else {
			say(good)
		}
	case "closes":
		_ = os.Stdout.Close()
		forever()
	case "closes-other": // stdin
		_ = os.Stdin.Close()
		say(good)
	case "removes":
		_ = os.RemoveAll(filepath.Dir(r.Dir))
		say(good)
	case "grows":
		held := make([]byte, 300<<20)
		for i := 0; i < len(held); i += 4096 {
			held[i] = 1
		}
		forever()
		say(good)
	case "fills":
		f, _ := os.Create(filepath.Join(r.Dir, "much"))
		_, _ = io.CopyN(f, zeros{}, 8<<20)
		forever()
	case "daemon": // one that is left to whoever takes orphans
		_ = exec.Command("/bin/sh", "-c", "sleep 600 & ").Run() //nolint:noctx // a payload's own
		own := exec.Command("/bin/sleep", "600")                //nolint:noctx // the same
		if err := own.Start(); err != nil {
			panic(err)
		}
		go func() {
			_ = own.Wait()
			say("its own process was ended, which is not for anybody to do")
		}()
		pause(150 * time.Millisecond) // shorter ones are not looked at each time
		say(good)
	default:
		say(good)
	}
}

func forever() { pause(time.Hour) }

func pause(d time.Duration) { <-time.After(d) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func say(text string) { _, _ = os.Stdout.WriteString(text + "\n") }

// spec is a payload that starts as told.
func spec(t *testing.T, how string) payloadfile.Spec {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return payloadfile.Spec{
		Name: "res", Version: "1", Kind: payloadfile.KindResident, Command: []string{program, how}, Timeout: time.Minute, Grace: 200 * time.Millisecond,
		Resident: payloadfile.Resident{StartupTimeout: time.Minute},
	}
}

// rig is what a payload needs of a wrapper.
type rig struct {
	t       *testing.T
	payload *resident.Payload
	keepers *keeper.Keepers
	work    string
	start   func(context.Context, proc.Command, keeper.Limits) (*keeper.Program, error)
}

// outcome is what became of a slice.
type outcome struct {
	payload.Result

	Err error
}

func newRig(t *testing.T, s payloadfile.Spec) *rig {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := resident.New(s)
	if err != nil {
		t.Fatal(err)
	}
	keepers, err := keeper.New(keeper.Auto, int64(s.MemoryMB)<<20)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, payload: p, keepers: keepers, work: t.TempDir(), start: keepers.Start}
	t.Cleanup(func() {
		r.close()
		keepers.Close()
		if left, _ := filepath.Glob(filepath.Join(r.work, "*", "home-*")); len(left) > 0 {
			t.Errorf("left in the slots' folders: %v", left)
		}
	})
	return r
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.payload.Close(context.Background()); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) slot(n int) payload.Slot {
	return payload.Slot{
		Number: n, Dir: filepath.Join(r.work, strconv.Itoa(n)), Start: r.start,
		Log: func() payload.Log {
			return payload.Log{Stdout: io.Discard, Stderr: io.Discard, Close: func(failed bool) []string {
				if failed {
					return []string{"log"}
				}
				return nil
			}}
		},
	}
}

func (r *rig) prepare(n int) (payload.Startup, error) {
	return r.payload.Prepare(r.t.Context(), r.slot(n))
}

// run works on a slice in a slot.
func (r *rig) run(ctx context.Context, n int, s message.Slice) outcome {
	slot := r.slot(n)
	dir := filepath.Join(slot.Dir, "slice")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return outcome{Err: err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	res, err := r.payload.Run(ctx, payload.Request{Slice: s, Input: s.Content.Filename, Dir: dir, Slot: slot})
	return outcome{res, err}
}

// do has a slice worked on whose input says what the payload does.
func (r *rig) do(what string) outcome {
	r.t.Helper()
	return r.named(what, what)
}

func (r *rig) named(what, id string) outcome {
	r.t.Helper()
	return r.run(r.t.Context(), 0, slice(what, id))
}

func slice(what, id string) message.Slice {
	return message.Slice{
		RunID:   message.Run("1"),
		Content: message.SliceContent{ReqID: message.Text(id), Filename: "/in/" + what, Start: message.NewInt(0), End: message.NewInt(9)},
	}
}

// good has a slice worked on that must be done, and returns the process that did it.
func (r *rig) good() int64 {
	r.t.Helper()
	o := r.do("good")
	if o.Err != nil {
		r.t.Fatalf("a good slice: %v", o.Err)
	}
	return o.Counts["process"]
}

// mustFail checks a verdict.
func mustFail(t *testing.T, o outcome, want exitcode.Failure, words string) {
	t.Helper()
	if got := exitcode.From(o.Err); got != want || !strings.Contains(o.Err.Error(), words) {
		t.Errorf("%s, want %s with %q in it: %v", got.Name, want.Name, words, o.Err)
	}
}
