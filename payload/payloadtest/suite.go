package payloadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// Kind is a kind of payload, as the suite needs it.
type Kind struct {
	// Front is how the program speaks with the payload: command, resident, or one of the caller's own, see [Program].
	Front string
	// Spec changes the spec to one of this kind; its command is that of the program. Nil for kind command.
	Spec func(s *payloadfile.Spec)
	// New makes the payload.
	New func(s payloadfile.Spec) (payload.Payload, error)
	// Counts are those of a good slice; nil for those that the program gives.
	Counts map[string]int64
	// Stays says that the program works on one slice after another.
	Stays bool
	// Verdicts are those that are others in this kind, by the name of the behaviour.
	Verdicts map[string]Verdict
	// Without are behaviours that cannot be in this kind, with the reason.
	Without map[string]string
}

// Verdict is what a slice ends in.
type Verdict struct {
	// Failure is [exitcode.OK], or nothing, for a slice that is done.
	Failure exitcode.Failure
	// Words stand in the failure's message.
	Words string
}

// atOnce is how many programs may be busy at once: on a machine with work of its own the good ones are to stay far from their time.
const atOnce = 2

// Run holds a kind to every behaviour.
func Run(t *testing.T, k Kind) {
	t.Helper()
	busy := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, b := range behaviours {
		if _, cannot := k.Without[b.name]; cannot {
			continue
		}
		// Side by side whatever -parallel is, because most of the time is waiting for a limit.
		all.Go(func() {
			t.Run(b.name, func(t *testing.T) { newBench(t, k, b, busy).run(t) })
		})
	}
	all.Wait()
	for name := range k.Without {
		known(t, name)
	}
	for name := range k.Verdicts {
		known(t, name)
	}
}

func known(t *testing.T, name string) {
	t.Helper()
	for _, b := range behaviours {
		if b.name == name {
			return
		}
	}
	t.Errorf("there is no behaviour %q", name)
}

// bench is a slot of its own for one behaviour.
type bench struct {
	kind Kind
	behaviour
	busy chan struct{}
	word string // in the arguments of all processes
	work string
	w    *wrapper.Wrapper
}

func newBench(t *testing.T, k Kind, b behaviour, busy chan struct{}) *bench {
	t.Helper()
	if v, other := k.Verdicts[b.name]; other {
		b.Verdict = v
	}
	if b.Failure.Name == "" {
		b.Failure = exitcode.OK
	}
	if k.Counts == nil {
		k.Counts = map[string]int64{success: 1}
	}
	n := &bench{kind: k, behaviour: b, busy: busy, word: strconv.FormatUint(rand.Uint64()|1<<63, 10), work: t.TempDir()}
	spec := payloadfile.Spec{
		Name: "suite", Version: "1", Kind: payloadfile.KindCommand, Command: command(t, k.Front, n.word), Timeout: time.Minute, Grace: 200 * time.Millisecond,
	}
	if b.spec != nil {
		b.spec(&spec)
	}
	if b.program != nil {
		spec.Command = []string{b.program(t)}
	}
	if k.Spec != nil {
		k.Spec(&spec)
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := k.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	n.w, err = wrapper.New(spec, p, p, wrapper.Config{
		WorkDir: n.work, DataDir: t.TempDir(), LogDir: filepath.Join(t.TempDir(), "logs"), Input: wrapper.InputConfig{Cache: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// run works on one slice of the behaviour and a good one; where the program stays, on a good one before.
func (n *bench) run(t *testing.T) {
	t.Helper()
	defer n.nothingLeft(t)
	if n.program != nil { // which cannot do anything good
		n.judge(t, n.slice(t, n.name))
		return
	}
	if n.kind.Stays {
		n.good(t, "before")
	}
	o := n.slice(t, n.name)
	n.judge(t, o)
	if !n.kind.Stays {
		n.noProcess(t, "after the slice")
	}
	if n.check != nil {
		n.check(t, n.kind, o)
	}
	n.good(t, "after")
}

// good is a slice that is done, and is its own.
func (n *bench) good(t *testing.T, when string) {
	t.Helper()
	if o := n.slice(t, success); o.Err != nil || !maps.Equal(o.Result.Counts, n.kind.Counts) {
		t.Errorf("a good slice %s: %v, %v\n%s%s", when, o.Err, o.Result.Counts, o.Result.Usage.Stdout, o.Result.Usage.Stderr)
	}
}

// judge holds an outcome to its verdict.
func (n *bench) judge(t *testing.T, o wrapper.Outcome) {
	t.Helper()
	got, text := exitcode.From(o.Err), ""
	if o.Err != nil {
		text = o.Err.Error()
	}
	if got != n.Failure || !strings.Contains(text, n.Words) {
		t.Errorf("it ended as %s: %s; want %s with %q\n%s%s", got.Name, text, n.Failure.Name, n.Words, o.Result.Usage.Stdout, o.Result.Usage.Stderr)
	}
	if o.Err != nil && !strings.Contains(text, "suite") && got.Class == exitcode.ClassPayload {
		t.Errorf("the payload is not named: %s", text)
	}
	if started := got != exitcode.SiteNoProgram; started && o.Result.Usage.Wall <= 0 {
		t.Errorf("nothing was measured: %+v", o.Result.Usage)
	}
}

// slice works on one with an input of that name.
func (n *bench) slice(t *testing.T, name string) wrapper.Outcome {
	t.Helper()
	content, err := json.Marshal(map[string]any{
		"req_id": name + "-" + strconv.FormatUint(rand.Uint64(), 10), "filename": name, "tf_filename": name + ".tf", "start": 0, "end": 9,
	})
	if err != nil {
		t.Fatal(err)
	}
	var s message.Slice
	if err := json.Unmarshal([]byte(`{"msg_type":"slice","run_id":"7","namespace":"suite","content":`+string(content)+`}`), &s); err != nil {
		t.Fatal(err)
	}
	if name == success || !n.waits {
		n.busy <- struct{}{}
		defer func() { <-n.busy }()
	}
	return n.w.Run(t.Context(), s)
}

// nothingLeft ends the slot.
func (n *bench) nothingLeft(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := n.w.Close(ctx); err != nil {
		t.Error(err)
	}
	n.noProcess(t, "after the slot")
	if left, err := os.ReadDir(n.work); err != nil || len(left) > 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
}

func (n *bench) noProcess(t *testing.T, when string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte(n.word)) {
			if _, alive := proc.Look(pid); alive {
				t.Errorf("alive %s: %s", when, bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
			}
		}
	}
}
