package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
	"tfpilot/internal/stompd"
)

// The moments of a slice that are in the payload's hands, between those of the line.
const (
	started moment = "the payload has started"
	written moment = "the payload has written its result"
	ended   moment = "the payload has ended, and its result is not in the journal"
)

// fault is what happens at a moment.
type fault string

const (
	pilotDies fault = "the pilot dies"
	linkDies  fault = "the link dies"
)

// crashPoint is a moment with what has to come of it, whatever the fault.
type crashPoint struct {
	at moment
	// again says that a pilot's death costs another execution: the journal does not have the result yet.
	again bool
	// once says that the broker has the acknowledgement: it does not deliver the slice again.
	once bool
	// resent says that the broker has the result already when it is sent again.
	resent bool
}

var crashPoints = []crashPoint{
	{at: delivered},
	{at: started, again: true},
	{at: written, again: true},
	{at: ended, again: true},
	{at: sending},
	{at: sent, resent: true},
	{at: acking, resent: true},
	{at: acked, once: true},
	{at: settled, once: true},
}

// crashes holds a broker's pilots to accounting at every moment of a slice. absorbs says that the broker drops a second result
// with the same duplicate id.
func crashes(t *testing.T, absorbs bool, world func(*testing.T) *production) {
	t.Helper()
	for _, c := range crashPoints {
		for _, f := range []fault{pilotDies, linkDies} {
			t.Run(string(f)+" when "+string(c.at), func(t *testing.T) {
				t.Parallel()
				newCrash(t, world(t)).run(c, f, absorbs)
			})
		}
	}
}

func TestEveryCrashPointOnTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	crashes(t, true, func(t *testing.T) *production { t.Helper(); return inProcess(t, stompd.Config{}) })
}

func TestEveryCrashPointOnTheEmbeddedBrokerInItsModeClassic(t *testing.T) {
	t.Parallel()
	crashes(t, false, func(t *testing.T) *production { t.Helper(); return inProcess(t, stompd.Config{Mode: stompd.Classic}) })
}

// crash is one pilot after the other on a tapped line, with one journal, and a payload whose steps the test decides.
type crash struct {
	*testing.T

	world *production
	tap   *tap
	dir   string
	pilot *proc.Process
	// stranded says that the broker has the slice no more for anybody, and that it was sent again.
	stranded bool
}

func newCrash(t *testing.T, world *production) *crash {
	t.Helper()
	c := &crash{T: t, world: world, tap: newTap(t, world.addr), dir: t.TempDir()}
	t.Cleanup(func() { c.touch("go", "end") }) // whatever still waits ends
	return c
}

func (c *crash) path(name string) string { return filepath.Join(c.dir, name) }

func (c *crash) touch(names ...string) {
	for _, name := range names {
		must(c, os.WriteFile(c.path(name), nil, 0o600))
	}
}

// start starts a pilot with the journal that the one before it has left.
func (c *crash) start() {
	c.Helper()
	payload := payloadFile(c, fmt.Sprintf(`cd %q; echo $TFPILOT_REQ_ID >>executions; echo $$ >pid.new; mv pid.new started
until [ -e go ]; do sleep 0.01; done; %s; touch written; until [ -e end ]; do sleep 0.01; done`, c.dir, counts))
	// In a session the id that the payload tells is the one that we see.
	c.pilot = c.world.startPilot(c, c.tap.addr, c.dir, "--run", run, "--payload", payload, "--drain-time", "5s", "--containment", "session")
}

func (c *crash) signal(s syscall.Signal) {
	c.Helper()
	must(c, syscall.Kill(c.pilot.PID(), s))
}

// publish sends a slice of the run, named after the test's namespace.
func (c *crash) publish(name string, attempt int64) {
	c.Helper()
	m := slice(0, func(s *message.SliceContent) { s.ReqID, s.Attempt = message.Text(c.id(name)), message.NewInt(attempt) })
	m.Namespace = c.world.namespace
	c.world.publishSlice(c, m)
}

func (c *crash) id(name string) string { return c.world.namespace + "-" + name }

// run brings slice a to the moment, lets the fault happen, and looks what has become of it when slice b is done too.
func (c *crash) run(point crashPoint, f fault, absorbs bool) {
	c.Helper()
	c.start()
	c.tap.until(c, "the pilot has subscribed", func() bool { return c.tap.subscribed > 0 })
	payloadPID := c.reach(point.at)
	if f == pilotDies {
		c.signal(syscall.SIGKILL)
		<-c.pilot.Done()
		c.tap.cut() // a dead process has no line
		if payloadPID > 0 {
			await(c, "the end of the payload with its pilot", func() bool { return !runs(payloadPID) })
		}
		c.start()
	} else {
		c.tap.cut()
		c.signal(syscall.SIGCONT)
	}
	c.touch("go", "end")
	c.publish("b", 1)
	c.tap.until(c, "the slice behind it is acknowledged", func() bool { return c.tap.acked[c.id("b")] == 1 })
	done := func() bool { return c.tap.acked[c.id("a")] == 1 }
	if c.world.strands && !c.tap.before(aWhile(c), done) {
		c.stranded = true
		c.publish("a", 2) // as idds does when nobody holds it while pilots are idle
	}
	c.tap.until(c, "both slices are acknowledged", done)
	c.signal(syscall.SIGTERM)
	if r, err := c.pilot.Wait(); err != nil || r.ExitCode != 59 {
		c.Errorf("exit status %d, %v", r.ExitCode, err)
	}
	c.check(point, f, absorbs)
}

// reach brings slice a to the moment, and returns the process of a payload that is under way.
func (c *crash) reach(at moment) (payload int) {
	c.Helper()
	switch at {
	case delivered:
		c.signal(syscall.SIGSTOP) // what arrives is received, and nobody looks at it
		c.stopped()
	case sending, sent, acking, acked, settled:
		c.touch("go", "end")
	case written, ended:
		c.touch("go")
	case started:
	}
	c.tap.arm(at)
	c.publish("a", 1)
	switch at {
	case started, written, ended:
		await(c, "the payload", func() bool {
			_, err := os.Stat(c.path(map[bool]string{true: "started", false: "written"}[at == started]))
			return err == nil
		})
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(c, c.path("started"))))
		must(c, err)
		if at == ended {
			c.signal(syscall.SIGSTOP)
			c.stopped()
			c.touch("end")
			await(c, "the end of the payload", func() bool { return !runs(pid) })
		}
		return pid
	default:
		c.tap.until(c, string(at), func() bool { return c.tap.stopped })
		return 0
	}
}

// aWhile is long enough for a broker to deliver again what a lost connection held, if it ever does.
func aWhile(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 15*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// stopped waits until the pilot does nothing any more.
func (c *crash) stopped() {
	c.Helper()
	await(c, "the pilot to stop", func() bool { return state(c.pilot.PID()) == "T" })
}

// state is that of a process as the kernel names it, nothing when it is gone.
func state(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}

// runs says that a process lives; one that nobody has waited for does not.
func runs(pid int) bool { s := state(pid); return s != "" && s != "Z" }

// check holds what is left to accounting.
func (c *crash) check(point crashPoint, f fault, absorbs bool) {
	c.Helper()
	id := c.id("a")
	if got, want := strings.Count(readFile(c, c.path("executions")), id), 1+count(point.again && f == pilotDies); got != want {
		c.Errorf("the slice was worked on %d times, want %d", got, want)
	}
	var again []bool
	for _, d := range c.tap.deliveries {
		if d.identity == id {
			again = append(again, d.again)
		}
	}
	want := []bool{false, !c.stranded}[:2-count(point.once)]
	if c.world.strands && len(again) == 2 && len(want) == 2 {
		want[1] = again[1] // it takes a loss for a farewell now and then, and does not count it
	}
	if !slices.Equal(again, want) {
		c.Errorf("delivered again: %v, want %v", again, want)
	}
	results := c.results()
	most := 1
	if !absorbs && (point.resent || f == linkDies) && !point.once {
		most += 1 + count(f == linkDies && point.at == sent) // on the next connection, and for the redelivery
	}
	if len(results[id]) < 1 || len(results[id]) > most || len(results[c.id("b")]) != 1 {
		c.Errorf("%d results of a, want 1 to %d; %d of b", len(results[id]), most, len(results[c.id("b")]))
	}
	for _, body := range results[id] {
		m, err := message.Decode[message.SliceResult]([]byte(body))
		if err != nil || m.Content.State != message.StateDone || body != results[id][0] {
			c.Errorf("result %s, %v; the first is %s", body, err, results[id][0])
		}
	}
	left, err := filepath.Glob(c.path("journal/*"))
	must(c, err)
	// What the broker does not ask for again is kept in case it does.
	if kept := point.once && (f == pilotDies || point.at == acked); len(left) != count(kept) {
		c.Errorf("%v are left of the journal, want %d", left, count(kept))
	}
}

// results takes all that there are, by identity, and sees that no slice is left. What is sent last says where they end.
func (c *crash) results() map[string][]string {
	c.Helper()
	queue, results := c.world.consume(c, message.QueueSlicesWorkers), c.world.consume(c, message.QueueResultsFast)
	c.publish("last", 1)
	d, err := queue.Next(soon(c))
	must(c, err)
	if m, err := message.Decode[message.Slice](d.Body); err != nil || m.Content.Identity() != c.id("last") {
		c.Errorf("left in the queue: %s, %v", d.Body, err)
	}
	must(c, d.Ack(soon(c)))
	must(c, c.world.link.Publish(soon(c), broker.Out{
		Destination: message.TopicResults, Body: []byte(`{"msg_type":"slice_result","run_id":"1","content":{"state":"done","req_id":"` + c.id("last") + `"}}`),
		Headers: []string{"persistent", "true", "namespace", c.world.namespace},
	}))
	all := map[string][]string{}
	for {
		d, err := results.Next(soon(c))
		must(c, err)
		must(c, d.Ack(soon(c)))
		m, err := message.Decode[message.SliceResult](d.Body)
		must(c, err)
		if m.Identity() == c.id("last") {
			return all
		}
		all[m.Identity()] = append(all[m.Identity()], string(d.Body))
	}
}

// count is 1 when it is so.
func count(so bool) int {
	if so {
		return 1
	}
	return 0
}
