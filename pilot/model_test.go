package pilot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/pilot"
)

// What accounting promises of the cycle of a slice, whatever happens in whatever order.
func TestTheCycleOfASliceAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt, t.TempDir())
		rt.Repeat(rapid.StateMachineActions(m))
		m.settle()
	})
}

// plan is how the payload ends for an attempt.
type plan string

const (
	succeeds plan = "succeeds"
	fails    plan = "fails"
	hitsSite plan = "fails for the site's sake, then succeeds"
)

// attempt is what the rules say of one attempt of a slice.
type attempt struct {
	plan plan
	// published counts the messages; each may be worked on once.
	published int
	// excused counts the executions that a crash, a signal or the site has made worthless.
	excused int
	ran     int
}

// work is a payload under way.
type work struct {
	identity string
	attempt  int
	end      chan struct{}
}

// machine is a pilot, and the one after it, on one broker, and all that may happen to them.
type machine struct {
	t     *rapid.T
	rig   *rig
	pilot *started
	slots int
	dir   string // of the journals: one folder after each kill

	messages int // that the queue has had
	faults   int // deliveries that have been made to fail
	kills    int
	away     bool // there is no broker

	mu       sync.Mutex
	attempts map[string]map[int]*attempt // by identity and number
	under    []*work                     // payloads under way
	free     bool                        // payloads end at once
	dying    bool                        // the pilot is ending: what it still starts is excused
	wrong    []string                    // what was seen that must not be
}

// maxFaults keeps a message from the dead letters.
const maxFaults = 8

func newMachine(rt *rapid.T, dir string) *machine {
	m := &machine{t: rt, dir: dir, attempts: map[string]map[int]*attempt{}, slots: rapid.IntRange(1, 3).Draw(rt, "slots")}
	m.rig = newRigOn(rt, m.journal(), stompd.Config{})
	m.start()
	return m
}

func (m *machine) journal() string { return filepath.Join(m.dir, strconv.Itoa(m.kills)) }

func (m *machine) start() {
	m.mu.Lock()
	m.dying = false
	m.mu.Unlock()
	w := &runner{do: func(ctx context.Context, s message.Slice) error {
		return m.run(ctx, s.Content.Identity(), s.Content.AttemptNumber())
	}}
	m.pilot = m.rig.pilot(pilot.Config{
		Run: run, Slots: pilot.Slots(m.slots), SiteHold: 10 * time.Millisecond, MaxReleases: 1000, DrainTime: time.Nanosecond,
	}, w, nil)
}

// run is the payload.
func (m *machine) run(ctx context.Context, identity string, number int) error {
	m.mu.Lock()
	a := m.attempts[identity][number]
	a.ran++
	a.excused += count(m.dying)
	if a.ran > a.published+a.excused {
		m.wrong = append(m.wrong, fmt.Sprintf("%s, attempt %d, was worked on %d times for %d messages and %d excuses", identity, number, a.ran, a.published, a.excused))
	}
	for _, w := range m.under {
		if w.identity == identity {
			m.wrong = append(m.wrong, identity+" is worked on twice at the same time")
		}
	}
	if a.plan == hitsSite && a.excused < 2 {
		a.excused++
		m.mu.Unlock()
		return exitcode.New(exitcode.SiteNoSpace, "disk full")
	}
	w := &work{identity, number, make(chan struct{})}
	if m.free {
		close(w.end)
	}
	m.under = append(m.under, w)
	m.mu.Unlock()
	err := errGate
	select {
	case <-w.end:
		err = nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.under {
		if m.under[i] == w {
			m.under = append(m.under[:i], m.under[i+1:]...)
			break
		}
	}
	if err == nil && a.plan == fails {
		err = exitcode.New(exitcode.PayloadFailed, "as planned")
	}
	return err
}

// Publish sends a slice as daq does.
func (m *machine) Publish(rt *rapid.T) {
	if len(m.attempts) == 5 {
		rt.Skip("enough")
	}
	m.send(rt, fmt.Sprint("slice-", len(m.attempts)), 1)
}

// Retry sends the next attempt of a slice, as idds does.
func (m *machine) Retry(rt *rapid.T) {
	identity, number := m.known(rt)
	if number == 3 {
		rt.Skip("enough")
	}
	m.send(rt, identity, number+1)
}

// Repeat sends an attempt again.
func (m *machine) Repeat(rt *rapid.T) {
	identity, number := m.known(rt)
	m.send(rt, identity, rapid.IntRange(1, number).Draw(rt, "attempt"))
}

// known is a slice that there is, with its last attempt.
func (m *machine) known(rt *rapid.T) (identity string, last int) {
	if len(m.attempts) == 0 {
		rt.Skip("nothing published")
	}
	identity = fmt.Sprint("slice-", rapid.IntRange(0, len(m.attempts)-1).Draw(rt, "slice"))
	return identity, len(m.attempts[identity])
}

func (m *machine) send(rt *rapid.T, identity string, number int) {
	m.mu.Lock()
	if m.attempts[identity] == nil {
		m.attempts[identity] = map[int]*attempt{}
	}
	a := m.attempts[identity][number]
	if a == nil {
		a = &attempt{plan: rapid.SampledFrom([]plan{succeeds, fails, hitsSite}).Draw(rt, "plan")}
		m.attempts[identity][number] = a
	}
	a.published++
	m.messages++
	m.mu.Unlock()
	m.rig.publish(slice(identity, number))
}

// Junk lies on the queue.
func (m *machine) Junk(rt *rapid.T) {
	m.messages++
	m.rig.publishBody([]byte(rapid.SampledFrom([]string{"", "{", `{"msg_type":"slice"}`, `{"msg_type":"heartbeat"}`}).Draw(rt, "junk")), run)
}

// Finish lets a payload end, and waits until its outcome is in the journal.
func (m *machine) Finish(rt *rapid.T) {
	before := m.outcomes()
	close(m.one(rt).end)
	await(m.t, "the outcome", func() bool { return m.outcomes() > before })
}

// one is a payload under way. While the broker is there, what it has been sent is waited for.
func (m *machine) one(rt *rapid.T) *work {
	var open []*work
	await(m.t, "a payload, or the end of all", func() bool {
		open = m.open()
		return len(open) > 0 || m.away || m.rig.queue().Acked == uint64(m.messages)
	})
	if len(open) == 0 {
		rt.Skip("no payload under way")
	}
	return open[rapid.IntRange(0, len(open)-1).Draw(rt, "payload")]
}

// open are the payloads that have not been told to end.
func (m *machine) open() (open []*work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.under {
		select {
		case <-w.end:
		default:
			open = append(open, w)
		}
	}
	return open
}

// outcomes counts the slices of which the log says how they ended.
func (m *machine) outcomes() int {
	said := m.rig.log.String()
	return strings.Count(said, `"slice done"`) + strings.Count(said, `"slice failed"`)
}

// fault counts what may bring a message nearer to the dead letters.
func (m *machine) fault(rt *rapid.T) {
	if m.faults == maxFaults {
		rt.Skip("enough")
	}
	m.faults++
}

// Cut ends the connection.
func (m *machine) Cut(rt *rapid.T) {
	m.fault(rt)
	before := m.rig.cut()
	if !m.away {
		await(m.t, "a new connection", func() bool { return m.rig.connections() > before })
	}
}

// Lose takes the broker away until Return.
func (m *machine) Lose(rt *rapid.T) {
	if m.away {
		rt.Skip("away")
	}
	m.fault(rt)
	m.away = true
	m.rig.refuse.Store(true)
	m.rig.cut()
}

// Return brings it back.
func (m *machine) Return(rt *rapid.T) {
	if !m.away {
		rt.Skip("there")
	}
	m.back()
}

func (m *machine) back() {
	m.away = false
	m.rig.refuse.Store(false)
}

// Kill ends the pilot as kill -9 does, and starts the next one on the journal that it leaves.
func (m *machine) Kill(rt *rapid.T) {
	m.fault(rt)
	m.rig.silent.Store(true)
	m.kill()
}

// KillAt does so at a moment on the wire, before or after the broker has the frame.
func (m *machine) KillAt(rt *rapid.T) {
	if m.away {
		rt.Skip("away")
	}
	w := m.one(rt)
	m.fault(rt)
	at := &trip{rapid.SampledFrom([]string{"SEND", "ACK"}).Draw(rt, "frame"), rapid.Bool().Draw(rt, "before"), make(chan struct{})}
	m.rig.trip.Store(at)
	close(w.end)
	reached := func() bool {
		select {
		case <-at.reached:
			return true
		default:
			return false
		}
	}
	// What is to be acknowledged may have come again behind another payload: then the moment does not come.
	await(m.t, at.command, func() bool { return reached() || at.command == "ACK" && len(m.open()) > 0 })
	if !reached() && m.rig.trip.CompareAndSwap(at, nil) {
		return
	}
	<-at.reached
	m.kill()
}

// kill is the end of a pilot whose wire is silent: no sooner can its journal be what it left, because nothing of it may reach
// the broker that is not in there.
func (m *machine) kill() {
	m.excuse()
	from := m.journal()
	m.kills++
	must(m.t, os.MkdirAll(m.journal(), 0o700))
	files, err := filepath.Glob(filepath.Join(from, "*"))
	must(m.t, err)
	for _, path := range files {
		b, err := os.ReadFile(path)
		must(m.t, err)
		must(m.t, os.WriteFile(filepath.Join(m.journal(), filepath.Base(path)), b, 0o600))
	}
	m.rig.refuse.Store(true)
	m.rig.cut()
	m.pilot.stop()
	_ = m.pilot.wait()
	m.pilot.release()
	m.rig.silent.Store(false)
	m.rig.refuse.Store(m.away)
	m.rig.journal = m.journal()
	m.start()
}

// excuse says that what is under way, or starts now, will have been for nothing.
func (m *machine) excuse() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dying = true
	for _, w := range m.under {
		m.attempts[w.identity][w.attempt].excused++
	}
}

// count is 1 when it is so.
func count(so bool) int {
	if so {
		return 1
	}
	return 0
}

// Term ends the pilot as a signal does, and starts the next one.
func (m *machine) Term(rt *rapid.T) {
	m.fault(rt) // without a broker it counts
	m.excuse()
	m.pilot.stop()
	_ = m.pilot.wait()
	m.pilot.release()
	m.start()
}
